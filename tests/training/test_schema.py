"""Settings that pydantic checks, and what is said of those that it refuses."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError, field, replace
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from avfeat.errors import ArgumentError
from avfeat.training.schema import Ascending, Count, Positive, Share, build, settings


@settings
class Part:
    rate: Positive = 1.0
    scale: Annotated[tuple[Share, Share], Ascending] = (0.0, 1.0)
    fill: Literal["zeros", "noise"] = "zeros"

    def __post_init__(self) -> None:
        if self.rate > 10 and self.fill == "noise":
            raise ArgumentError("fill 'noise' goes with a rate up to 10.")


@settings
class Smaller(Part):
    fraction: Annotated[float, Field(ge=0, lt=1)] = 0.5


@settings
class All:
    part: Part
    count: Count = 1
    maybe: Positive | None = None
    named: str | dict[str, str] = ""
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = field(default_factory=dict)
    other: Part | None = None
    flag: bool = False


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"rate": 0}, "rate must be a number above 0, not 0."),
        ({"rate": True}, "rate must be a number above 0, not True."),
        ({"rate": "2"}, "rate must be a number above 0, not '2'."),
        ({"rate": math.nan}, "rate must be a number above 0, not nan."),
        ({"rate": math.inf}, "rate must be a number above 0, not inf."),
        ({"scale": (1.0, 0.5)}, "scale must be two numbers from 0 to 1, the smaller one first, not (1.0, 0.5)."),
        ({"scale": (0.5, 2)}, "scale must be two numbers from 0 to 1, the smaller one first, not 2."),
        ({"scale": (0.5,)}, "scale must be two numbers from 0 to 1, the smaller one first, not (0.5,)."),
        ({"fill": "nois"}, "fill must be one of zeros, noise, not 'nois'; did you mean 'noise'?"),
        ({"fill": "x"}, "fill must be one of zeros, noise, not 'x'."),
        ({"fraction": 1}, "fraction must be a number from 0 to below 1, not 1."),
        ({"fracton": 1}, "there is no setting 'fracton'; did you mean 'fraction'?"),
        ({"rate": 11, "fill": "noise"}, "fill 'noise' goes with a rate up to 10."),
    ],
)
def test_settings_made_in_python_are_refused_in_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Smaller(**values)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (None, "r.yaml: must be settings (name: value), not None."),
        ([1], "r.yaml: must be settings (name: value), not [1]."),
        ({}, "r.yaml: part is missing."),
        ({"prat": {}}, "r.yaml: there is no setting 'prat'; did you mean 'part'?"),
        ({"part": 3}, "r.yaml.part: must be settings (name: value), not 3."),
        ({"part": {"rat": 1}}, "r.yaml.part: there is no setting 'rat'; did you mean 'rate'?"),
        ({"part": {"rate": 11, "fill": "noise"}}, "r.yaml.part: fill 'noise' goes with a rate up to 10."),
        ({"part": {}, "count": 2.0}, "r.yaml: count must be a whole number from 1 on, not 2.0."),
        ({"part": {}, "maybe": 0}, "r.yaml: maybe must be a number above 0, or null, not 0."),
        ({"part": {}, "named": 3}, "r.yaml: named must be text or settings (name: value), not 3."),
        ({"part": {}, "parts": {}}, "r.yaml.parts: must be a list, not {}."),
        ({"part": {}, "parts": [{}, {"rate": -1}]}, "r.yaml.parts[1]: rate must be a number above 0, not -1."),
        ({"part": {}, "parts": [{}, 3]}, "r.yaml.parts[1]: must be settings (name: value), not 3."),
        ({"part": {}, "by_name": {"k": {"rat": 1}}}, "r.yaml.by_name.k: there is no setting 'rat'; did you mean"),
        ({"part": {}, "other": {"rat": 1}}, "r.yaml.other: there is no setting 'rat'; did you mean 'rate'?"),
        ({"part": {}, "other": "x"}, "r.yaml.other: must be settings (name: value), not 'x'."),
        ({"part": {}, "flag": 1}, "r.yaml: flag must be true or false, not 1."),
        ({"part": {"scale": [0, {1}]}}, "r.yaml.part.scale[1]: no value that a setting can have: {1}."),
    ],
)
def test_settings_from_files_are_refused_with_their_place(values: Any, sentence: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        build(All, values, "r.yaml")
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


def test_lists_become_tuples_and_whole_numbers_floats() -> None:
    found = build(All, {"part": {"rate": 2, "scale": [0, 1]}, "maybe": 3}, "r.yaml")
    assert found == All(Part(rate=2.0), maybe=3.0)
    assert [type(one) for one in (found.part.rate, *found.part.scale, found.maybe)] == [float] * 4


def test_settings_are_frozen_travel_between_processes_and_are_checked_when_replaced() -> None:
    one = Smaller(rate=2.0)
    assert pickle.loads(pickle.dumps(one)) == one and hash(replace(one)) == hash(one)
    with pytest.raises(FrozenInstanceError):
        one.rate = 1.0  # type: ignore[misc]
    with pytest.raises(ArgumentError, match="rate must be a number above 0"):
        replace(one, rate=-1.0)
