"""What pydantic refused, as one sentence: where it stands, what it must be, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, ValidationError
from pydantic.fields import FieldInfo

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion


def sentence(kind: type[Any], found: ValidationError, where: str = "") -> str:
    """What is wrong, for whoever wrote the settings.

    Args:
        kind: the dataclass that was to be made.
        found: what pydantic says.
        where: how messages call the place; empty for none.
    """
    errors = found.errors(include_url=False)
    # What is misspelt, first: then something else may seem to be missing.
    error = next((one for one in errors if one["type"] == "unexpected_keyword_argument"), errors[0])
    own = error.get("ctx", {}).get("error")
    place, owner, name, hint = _place(kind, error["loc"], where)
    before = f"{place}: " if place else ""
    if isinstance(own, ArgumentError):
        # A rule between several settings: the dataclass says it itself.
        below = f"{place}.{name}".strip(".") if name else place
        return f"{below}: {own}" if below else str(own)
    if error["type"] == "unexpected_keyword_argument":
        known = [field.name for field in fields(cast(Any, owner)) if field.init]
        return f"{before}there is no setting {name!r}; {suggestion(str(name), known)}"
    if error["type"] == "missing" and isinstance(error["loc"][-1], str):
        return f"{before}{name} is missing."
    value, what = error["input"], _wanted(hint)
    if what in _NESTED:
        # It has settings of its own: a place, no name.
        return f"{f'{place}.{name}'.strip('.') if name else place}: must be {what}, not {value!r}."
    near = suggestion(str(value), get_args(_plain(hint))) if get_origin(_plain(hint)) is Literal else ""
    end = f"; {near}" if near.startswith("did you mean") else "."
    return f"{before}{name} must be {what or error['msg']}, not {value!r}{end}"


def _place(kind: Any, loc: tuple[str | int, ...], where: str) -> tuple[str, Any, str, Any]:
    """The place of a setting, whose dataclass it is, its name, and what it may be."""
    place, owner, name, hint = where, kind, "", kind
    for part in loc:
        inner = _plain(hint)
        if is_dataclass(inner):
            names = [field.name for field in fields(inner)]
            # By number where it was given without its name.
            given = names[part] if isinstance(part, int) and part < len(names) else str(part)
            place = f"{place}.{name}".strip(".") if name else place
            owner, name, hint = inner, given, get_type_hints(inner, include_extras=True).get(given)
        elif get_origin(inner) is tuple and len(get_args(inner)) == 2 and get_args(inner)[1] is Ellipsis:
            name, hint = f"{name}[{part}]", get_args(inner)[0]
        elif get_origin(inner) is dict:
            name, hint = f"{name}.{part}", get_args(inner)[1]
        else:
            # One of several kinds, or of two numbers: the setting as a whole says what it may be.
            break
    return place, owner, name, hint


def _plain(hint: Any) -> Any:
    """A type without its limits, and without null."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    kinds = [one for one in get_args(hint) if one is not NoneType]
    return _plain(kinds[0]) if get_origin(hint) in (UnionType, Union) and len(kinds) == 1 else hint


_LIST, _SETTINGS = "a list", "settings (name: value)"
_NESTED = (_LIST, _SETTINGS)


def _wanted(hint: Any, limits: tuple[Any, ...] = ()) -> str:
    """What a setting must be, in words; empty where only pydantic knows."""
    arguments = get_args(hint)
    if get_origin(hint) is Annotated:
        return _wanted(arguments[0], (*limits, *_opened(arguments[1:])))
    if get_origin(hint) in (UnionType, Union):
        kinds = [_wanted(one, limits) for one in arguments if one is not NoneType]
        return " or ".join(kinds) + (", or null" if NoneType in arguments and kinds[0] not in _NESTED else "")
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if get_origin(hint) is tuple:
        if arguments[-1] is Ellipsis:
            return _LIST
        first = ", the smaller one first" if any(isinstance(one, AfterValidator) for one in limits) else ""
        return f"two numbers{_range(arguments[0])}{first}"
    if is_dataclass(hint) or hint is dict or get_origin(hint) in (dict, Mapping):
        return _SETTINGS
    words = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
    return words[hint] + _limits(limits) if hint in words else ""


def _range(hint: Any) -> str:
    return _limits(tuple(_opened(get_args(hint)[1:]))) if get_origin(hint) is Annotated else ""


def _opened(metadata: tuple[Any, ...]) -> list[Any]:
    return [one for entry in metadata for one in (entry.metadata if isinstance(entry, FieldInfo) else (entry,))]


def _limits(limits: tuple[Any, ...]) -> str:
    low = next((f" from {one.ge}" for one in limits if isinstance(one, Ge)), "")
    low = low or next((f" above {one.gt}" for one in limits if isinstance(one, Gt)), "")
    high = next((f" to {one.le}" for one in limits if isinstance(one, Le)), "")
    high = high or next((f" to below {one.lt}" for one in limits if isinstance(one, Lt)), "")
    if not high:
        return f"{low} on" if low.startswith(" from") else low
    return low + ("," if low.startswith(" above") else "") + high
