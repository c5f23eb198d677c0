"""Settings from YAML into frozen dataclasses: typed, within limits, nothing unknown, nothing guessed."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

import yaml
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from avfeat.errors import ArgumentError
from avfeat.plain import read_plain
from avfeat.training.wanted import sentence

T = TypeVar("T")

Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]

EXACT = ConfigDict(extra="forbid")
"""Of a dataclass that ``build`` makes and that is not one of ``settings``."""
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the smaller one first")
    return pair


Ascending = AfterValidator(_ascending)
"""Beside a pair of numbers: the smaller one first."""

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


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def settings(cls: type[T]) -> type[T]:
    """A frozen dataclass whose values pydantic checks, however it is made.

    Nothing unknown, nothing of another type (a whole number is taken for a float), nothing infinite; limits stand
    beside the types. Rules between several settings raise ``ArgumentError`` in ``__post_init__``.
    """
    checked = dataclass(frozen=True, config=_STRICT)(cls)
    initialise = checked.__init__

    @wraps(initialise)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            initialise(self, *args, **kwargs)
        except ValidationError as error:
            raise ArgumentError(sentence(checked, error)) from error

    setattr(checked, "__init__", init)  # noqa: B010 - mypy has no methods assigned to
    return cast("type[T]", checked)


def build(kind: type[T], values: Any, where: str) -> T:
    """An instance of ``kind`` with the settings ``values``.

    Args:
        kind: a class of ``settings``, or an ``EXACT`` one.
        values: a mapping of names to JSON values.
        where: how messages call the place, such as ``recipe.yaml: sampling``.

    Raises:
        ArgumentError: unknown names (the nearest known one is suggested), missing ones, or values of another type.
    """
    try:
        _check_json(values, where)
        # As JSON: lists become tuples and whole numbers floats, but no text or truth value becomes a number.
        return TypeAdapter(kind).validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise ArgumentError(sentence(kind, error, where)) from error
    except RecursionError as error:
        raise ArgumentError(f"{where}: holds itself; write it out.") from error


def _check_json(value: Any, where: str, above: tuple[int, ...] = ()) -> None:
    if isinstance(value, Mapping | list | tuple) and id(value) not in above:
        named = isinstance(value, Mapping)
        for name, one in value.items() if isinstance(value, Mapping) else enumerate(value):
            _check_json(one, f"{where}.{name}" if named else f"{where}[{name}]", (*above, id(value)))
    elif value is not None and not isinstance(value, str | int | float):
        raise ArgumentError(f"{where}: no value that a setting can have: {value!r}.")
