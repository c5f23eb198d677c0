"""Settings from YAML into frozen dataclasses: typed, nothing unknown, nothing guessed."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from avfeat.errors import ArgumentError
from avfeat.plain import read_plain
from avfeat.suggest import suggestion

T = TypeVar("T")

_MOST_BYTES, _MOST_VALUES = 2**20, 100_000


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        ArgumentError: it cannot be read, or is no YAML.
    """
    try:
        return parse_yaml(read_plain(path, _MOST_BYTES).decode())
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ArgumentError(f"{path}: cannot be read ({why}).") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise ArgumentError(f"{path}{where}: not YAML ({getattr(error, 'problem', error)}).") from error


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        YAMLError: it is none, a name occurs twice in it, or it has a date that no calendar has.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_nodes(node)
        return loader.construct_document(node)
    except RecursionError as error:
        raise yaml.YAMLError("nested too deeply") from error
    except (ValueError, OverflowError) as error:
        raise yaml.YAMLError(str(error)) from error
    finally:
        loader.dispose()


def _check_nodes(node: yaml.Node) -> None:
    """Aliases may be used, but what they stand for is counted: a few lines can stand for billions of values.

    Raises:
        YAMLError: too many values, or some that hold themselves.
    """
    counts: dict[int, int] = {}

    def count(one: yaml.Node) -> int:
        if id(one) not in counts:
            # Until it is known, whoever comes back here has gone round in a circle.
            counts[id(one)] = _MOST_VALUES + 1
            pairs = one.value if isinstance(one, yaml.CollectionNode) else []
            inner = itertools.chain.from_iterable(pairs) if isinstance(one, yaml.MappingNode) else pairs
            counts[id(one)] = 1 + sum(map(count, inner))
        return counts[id(one)]

    if count(node) > _MOST_VALUES:
        raise yaml.YAMLError(f"it stands for more than {_MOST_VALUES:,} values, or holds itself")


class _Loader(yaml.SafeLoader):
    """Safe, and no name twice: YAML's own rule, which PyYAML does not check.

    ``1e-3`` is a number, as in YAML 1.2; for PyYAML alone it is text.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping; a name that occurs twice is an error."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((name for name, times in Counter(names).items() if times > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} occurs twice", node.start_mark)
        return cast("dict[Any, Any]", super().construct_mapping(node, deep))


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def build(kind: type[T], values: Any, where: str) -> T:
    """An instance of the dataclass ``kind`` with the settings ``values``.

    Args:
        kind: a dataclass; settings that are dataclasses themselves are built likewise, or by their own
            ``from_values(values, where)``.
        values: a mapping of names to JSON values.
        where: how messages call the place, such as ``recipe.yaml: sampling``.

    Raises:
        ArgumentError: unknown names (the nearest known one is suggested), missing ones, or values of another type.
    """
    if not isinstance(values, Mapping):
        raise ArgumentError(f"{where}: must be settings (name: value), not {values!r}.")
    known = {field.name: field for field in fields(cast(Any, kind)) if field.init}
    for name in values:
        if name not in known:
            raise ArgumentError(f"{where}: there is no setting {name!r}; {suggestion(str(name), known)}")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise ArgumentError(f"{where}: {name} is missing.")
    hints = get_type_hints(kind)
    checked = {name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    try:
        return kind(**checked)
    except ArgumentError as error:
        raise ArgumentError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    if hasattr(hint, "from_values"):
        return hint.from_values(value, where)
    if value is not None and get_origin(hint) is UnionType:
        # Settings that may be left out: pydantic would let unknown names pass.
        hint = next((one for one in get_args(hint) if is_dataclass(one)), hint)
    if is_dataclass(hint):
        return build(cast("type[Any]", hint), value, where)
    try:
        # As JSON: lists become tuples and whole numbers floats, but no text or truth value becomes a number.
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise ArgumentError(f"{where}: {message[:1].lower() + message[1:]}, not {value!r}.") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"{where}: no value that a setting can have: {value!r}.") from error
