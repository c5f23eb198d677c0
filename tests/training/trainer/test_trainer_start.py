"""Trainings that begin with a trained pair: the bundle that ships, or a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import copied, differences, ran, small, state, trainer

from avfeat.bundle import Bundle, default_bundle, find_bundle
from avfeat.errors import AvfeatError
from avfeat.training.checkpoint import Checkpoint, CheckpointError
from avfeat.training.data import Cache
from avfeat.training.networks import build_pair
from avfeat.training.networks.folded import load_folded
from avfeat.training.networks.published import WeightsError
from avfeat.training.trainer.views import augment_views, seeds_of

BASE = {"encoders__video": "lite0_motion", "encoders__audio": "mel_resnet16", "encoders__shared": 256}
SLOW = {"optimizer": {"name": "sgd", "lr": 1e-9}}


def alike(one: torch.Tensor, other: torch.Tensor) -> float:
    """Correlation of two tables of features, each about its mean."""
    rows = [(side - side.mean(0)).flatten().double() for side in (one, other)]
    return float(torch.nn.functional.cosine_similarity(*rows, dim=0))


def test_after_a_step_the_features_are_those_of_the_bundle(cache: Cache, tmp_path: Path) -> None:
    recipe = small(**BASE, **SLOW, encoders__init="default", augment={}, steps=1)
    one = trainer(cache, recipe)
    bundle = Bundle.open(default_bundle())
    expected = build_pair(recipe.encoders, published=False).eval()
    for name in ("video", "audio"):
        load_folded(getattr(expected, name), bundle, name)
    with one.batches(0) as batches:
        batch = next(batches)
        one.step(0, iter([batch]))
    views = augment_views(batch, recipe.augment, 16_000, seeds_of(0, 0, 0, 16))
    assert views.frames is not None and views.waveform is not None
    inputs = {"video": views.frames, "audio": one.model.log_mel(views.waveform)}
    pair = one.model.pair.eval()
    with torch.inference_mode():
        for name, x in inputs.items():
            found, wanted = (getattr(side, name).backbone(x) for side in (pair, expected))
            assert alike(found, wanted) > 0.9
    said = one.provenance["init"]
    assert said == dict.fromkeys(("video", "audio"), f"default (bundle {bundle.name}, sha256 {bundle.sha256})")


def test_a_training_from_a_bundle_goes_on_as_if_left_alone(cache: Cache, tmp_path: Path) -> None:
    changes = {**BASE, "encoders__init": {"video": "default"}, "steps": 4, "checkpoint_every": 2}
    ran(cache, tmp_path / "alone", small(**changes))
    ran(cache, tmp_path / "twice", small(**changes), stop_after=2)
    ran(cache, tmp_path / "twice", small(**changes), resume=True)
    assert differences(state(tmp_path / "twice"), state(tmp_path / "alone")) == []
    # What it began with is known of it still.
    said = [Checkpoint.load(tmp_path / name).provenance["init"] for name in ("alone", "twice")]
    assert said[0] == said[1] and said[0].keys() == {"video"}


def test_a_run_is_taken_as_it_is(cache: Cache, tmp_path: Path) -> None:
    ran(cache, tmp_path / "first", small(steps=2))
    before = Checkpoint.load(tmp_path / "first")
    one = trainer(cache, small(encoders__init={"audio": str(tmp_path / "first")}, seed=1))
    audio = {name: value for name, value in before.encoders.items() if name.startswith("audio.")}
    assert (
        differences({f"audio.{name}": value for name, value in copied(one.model.pair.audio).items()}, audio) == []
    )
    fresh = trainer(cache, small(seed=1))
    assert differences(copied(one.model.pair.video), copied(fresh.model.pair.video)) == []
    assert one.provenance["init"] == {"audio": f"{tmp_path / 'first'} (step 2)"}
    assert "init" not in fresh.provenance
    with pytest.raises(CheckpointError, match=r"take it: --set encoders\.audio=tiny_mel\.") as caught:
        trainer(cache, small(encoders__init={"audio": str(tmp_path / "first")}, encoders__audio="mel_resnet14"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("init", "kind", "says"),
    [
        ("default", WeightsError, "holds the weights of another network"),
        (str(find_bundle("base-int8")), WeightsError, "weights are taken from ONNX files in fp32"),
        ("./nothing", CheckpointError, "no checkpoint is there; name the folder of a run"),
    ],
)
def test_what_cannot_be_begun_with_is_refused(cache: Cache, init: Any, kind: type[AvfeatError], says: str) -> None:
    with pytest.raises(kind) as caught:
        trainer(cache, small(encoders__init=init))
    assert says in str(caught.value) and "\n" not in str(caught.value)
