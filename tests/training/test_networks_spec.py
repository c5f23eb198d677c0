from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from avfeat.errors import ArgumentError
from avfeat.training.networks import PairSpec
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.schema import build


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seconds": 0}, "seconds must be a number from 0.1 on, not 0"),
        ({"seconds": -2.0}, "seconds must be a number from 0.1 on, not -2.0"),
        ({"seconds": 0.05, "fps": 20}, "seconds must be a number from 0.1 on, not 0.05"),
        ({"seconds": math.nan}, "seconds must be a number from 0.1 on, not nan"),
        ({"seconds": math.inf}, "seconds must be a number from 0.1 on, not inf"),
        ({"fps": 0}, "fps must be a whole number from 1 to 240, not 0"),
        ({"fps": 7.5}, "fps must be a whole number from 1 to 240, not 7.5"),
        ({"fps": True}, "fps must be a whole number from 1 to 240, not True"),
        ({"size": 15}, "size must be a whole number from 16 to 4320, not 15"),
        ({"size": 4321}, "size must be a whole number from 16 to 4320, not 4321"),
        ({"sample_rate": 3999}, "sample_rate must be a whole number from 4000 to 192000, not 3999"),
        ({"shared": 1}, "shared must be a whole number from 2 to 65536, not 1"),
        ({"seconds": 1.3}, r"a whole number of frames, 1 or more, not 1.3 \* 8 = 10.4"),
        ({"seconds": 0.1, "fps": 1}, r"a whole number of frames, 1 or more, not 0.1 \* 1 = 0.1"),
        ({"aspect": "strech"}, "aspect must be one of .*, not 'strech'; did you mean 'stretch'"),
        ({"init": "kinetics"}, "no init 'kinetics'; did you mean 'kinetics400'"),
        ({"init": {"vidoe": "default"}}, "init is for video and audio; did you mean 'video'"),
        ({"init": {"video": "defualt"}}, "no init 'defualt'; did you mean 'default'.* A path has a slash in it"),
        ({"init": "runs"}, r"no init 'runs'; .* A path has a slash in it: \./runs\."),
    ],
)
def test_values_that_no_pair_can_have(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        PairSpec("tiny_shift", "tiny_mel", **values)


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"),
    [(2.0, 8, 16), (1, 1, 1), (0.1, 30, 3), (1 / 3, 3, 1), (2.5, 10, 25), (0.7, 10, 7)],
)
def test_frames_of_a_window(seconds: float, fps: int, frames: int) -> None:
    assert PairSpec("tiny_shift", "tiny_mel", seconds=seconds, fps=fps).frames == frames


@pytest.mark.parametrize(
    ("init", "starts"),
    [
        ("none", {}),
        ("default", {"video": "default", "audio": "default"}),
        ("runs/one", {"video": "runs/one", "audio": "runs/one"}),
        ("imagenet", {"video": "imagenet", "audio": "imagenet"}),
        ("efficientnet_lite0", {"video": "efficientnet_lite0"}),
        ({"audio": "default", "video": "none"}, {"audio": "default"}),
        ({"audio": "./one", "video": "efficientnet_lite0"}, {"video": "efficientnet_lite0", "audio": "./one"}),
    ],
)
def test_every_modality_begins_with_what_is_said_of_it(init: Any, starts: dict[str, str]) -> None:
    spec = PairSpec("tiny_shift", "tiny_mel", init=init)
    assert spec.starts == starts and list(spec.starts) == list(starts)
    assert build(PairSpec, {"video": "tiny_shift", "audio": "tiny_mel", "init": init}, "encoders") == spec


def test_a_recipe_says_where_the_value_is() -> None:
    with pytest.raises(ArgumentError, match=r"recipe\.yaml: encoders: size must be"):
        build(PairSpec, {"video": "s3d", "audio": "tiny_mel", "size": 8}, "recipe.yaml: encoders")


def test_the_lowest_sample_rate_still_has_a_spectrogram_of_a_tenth_of_a_second() -> None:
    spec = PairSpec("tiny_shift", "tiny_mel", sample_rate=4000)
    assert torch.isfinite(LogMel(spec.sample_rate)(torch.randn(1, spec.sample_rate // 10))).all()
