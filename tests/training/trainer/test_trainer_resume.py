from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import differences, lines, ran, small, state

from avfeat.errors import ArgumentError, OutputError
from avfeat.training.checkpoint import LAST, Checkpoint, CheckpointError
from avfeat.training.data import Cache
from avfeat.training.trainer import MetricsLogged, TrainingFinished, TrainingStarted
from avfeat.training.trainer.optimizer import rate_at
from avfeat.training.trainer.resume import check_same
from avfeat.training.trainer.resume import differences as differing

# Checkpoints after 3, 6, 9 ..., lines after 2, 4, 6 ...: the first one has half a line's means to keep.
ODD = {"steps": 8, "checkpoint_every": 3, "log_every": 2}
LARS = {"name": "lars", "lr": 0.4, "scaling": "sqrt", "weight_decay": 1e-4, "warmup": 0.25, "max_grad_norm": 5.0}
RECIPES: dict[str, dict[str, Any]] = {
    "simclr, AdamW": ODD | {"augment__sampling__speed": [0.8, 1.25], "workers": 1},
    "byol, LARS": ODD | {"objective__name": "byol", "optimizer": LARS},
    "moco_v3, SGD, two passes": ODD
    | {
        "objective__name": "moco_v3",
        "grad_accumulation_steps": 2,
        "optimizer": {"name": "sgd", "lr": 0.1, "max_grad_norm": 1.0},
    },
    "simsiam": ODD | {"objective__name": "simsiam", "shared__reach": "encoder", "precision": "bf16"},
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_that_goes_on_is_the_one_left_alone(
    cache: Cache, mixed: Cache, tmp_path: Path, name: str
) -> None:
    # Clips without a stream where there is one pass of all of them.
    data, recipe = mixed if "AdamW" in name else cache, small(**RECIPES[name])
    ran(data, tmp_path / "alone", recipe)
    # Its last line is of a step that no checkpoint holds.
    ran(data, tmp_path / "twice", recipe, stop_after=3)
    assert [line["step"] for line in lines(tmp_path / "twice")] == [2, 4]
    torch.rand(3)
    second = ran(data, tmp_path / "twice", recipe, resume=True)
    started = [event for event in second if isinstance(event, TrainingStarted)]
    assert [event.step for event in started] == [3] and started[0].cost.steps == 5
    assert [event.metrics["step"] for event in second if isinstance(event, MetricsLogged)] == [4, 6, 8]
    assert lines(tmp_path / "twice") == lines(tmp_path / "alone")
    assert differences(state(tmp_path / "twice"), state(tmp_path / "alone")) == []


def test_a_checkpoint_holds_all_that_moves(cache: Cache, tmp_path: Path) -> None:
    ran(cache, tmp_path, small(objective__name="byol", steps=2))
    rest, optimizer = (state(tmp_path)["training"][name] for name in ("rest", "optimizer"))
    parts = {name.split(".")[0] for name in rest}
    assert parts == {"objective", "targets"}
    assert any(name.startswith("objective.targets.") for name in rest)
    assert all(int(one["step"]) == 2 for one in optimizer["state"].values())
    assert Checkpoint.load(tmp_path).training["seconds"] > 0


@pytest.fixture(scope="module")
def begun(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("begun")
    ran(cache, run, small(steps=4, checkpoint_every=2), stop_after=2)
    return run


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"optimizer__lr": 0.5}, "was begun with optimizer.lr 0.002, not 0.5"),
        ({"steps": 3}, "was begun with steps 4, not 3"),
        ({"steps": 1}, "was begun with steps 4, not 1"),
        ({"augment__augmentations": [{"flip": {"p": 0.25}}]}, "was begun with augment.augmentations "),
        ({"augment__sampling__jitter": 0.3}, "was begun with augment.sampling.jitter 0.2, not 0.3"),
        ({"objective__settings": {"simclr": {"hidden": 16}}}, "was begun with objective.settings.simclr.hidden 32"),
        ({"optimizer__max_grad_norm": 1.0}, "was begun with optimizer.max_grad_norm None, not 1.0"),
        ({"seed": 1}, "was begun with seed 0, not 1"),
    ],
)  # fmt: skip
def test_other_settings_are_refused(cache: Cache, begun: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        ran(cache, begun, small(**{"steps": 4, "checkpoint_every": 2} | change), resume=True)
    assert str(caught.value).startswith(f"{begun}: {says}")
    assert "go on with the same settings" in str(caught.value)


@pytest.mark.parametrize("first", [2, 4])
def test_a_training_goes_on_for_longer(cache: Cache, tmp_path: Path, first: int) -> None:
    """Ended or stopped: from there on it is as if it had been begun with the new length, rates included."""
    ran(cache, tmp_path, small(steps=4, checkpoint_every=2), stop_after=first if first < 4 else None)
    finished = ran(cache, tmp_path, small(steps=8, log_every=1), resume=True)[-1]
    assert isinstance(finished, TrainingFinished) and finished.steps == 8
    rates = {line["step"]: line["rate"] for line in lines(tmp_path)}
    settings = small().optimizer
    for step in range(first, 8):
        assert rates[step + 1] == pytest.approx(rate_at(step, 8, settings, small().batch_size))
    starts = json.loads((tmp_path / "run.json").read_text())["starts"]
    assert [(one["step"], one["steps"]) for one in starts] == [(0, 4), (first, 8)]
    assert Checkpoint.load(tmp_path).recipe["steps"] == 8


def test_other_data_is_refused(cache: Cache, mixed: Cache, begun: Path) -> None:
    with pytest.raises(CheckpointError, match=r"was begun on other data \(56 clips of some clips, now 14 of"):
        ran(mixed, begun, small(steps=4, checkpoint_every=2), resume=True)


def test_settings_that_change_nothing_learned_may_change(cache: Cache, begun: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(begun, run)
    recipe = small(
        steps=4, checkpoint_every=1, log_every=3, workers=1, description="now with words", probe__every=2
    )
    finished = ran(cache, run, recipe, resume=True)[-1]
    ran(cache, tmp_path / "alone", small(steps=4))
    assert differences(state(run)["encoders"], state(tmp_path / "alone")["encoders"]) == []
    # The accuracy before training was not asked for then: it is measured now, of fresh encoders.
    assert (
        isinstance(finished, TrainingFinished)
        and finished.accuracy is not None
        and finished.random_init is not None
    )
    ran(cache, tmp_path / "probed", small(steps=4, probe__every=2))
    expected, found = lines(tmp_path / "probed")[-1], lines(run)[-1]
    names = [f"{kind}{part}" for kind in ("knn", "knn_random_init") for part in ("", "_video", "_audio")]
    assert {name: found[name] for name in names} == {name: expected[name] for name in names}


def test_what_is_done_is_not_done_again(cache: Cache, tmp_path: Path) -> None:
    recipe = small(steps=2, probe__every=2)
    before = ran(cache, tmp_path, recipe)[-1]
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    [after] = ran(cache, tmp_path, recipe, resume=True)
    assert isinstance(before, TrainingFinished) and isinstance(after, TrainingFinished)
    assert (after.steps, after.clips_per_second) == (2, 0)
    assert (after.accuracy, after.random_init) == (before.accuracy, before.random_init)
    assert before.clips_per_second > 0 and before.accuracy is not None
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_resume_without_a_checkpoint_begins(cache: Cache, tmp_path: Path) -> None:
    events = ran(cache, tmp_path / "new", small(steps=1), resume=True)
    assert isinstance(events[0], TrainingStarted) and events[0].step == 0
    assert isinstance(events[-1], TrainingFinished)


def test_a_run_is_not_overwritten(cache: Cache, begun: Path) -> None:
    before = (begun / LAST).read_bytes()
    with pytest.raises(CheckpointError, match="holds a training already; --resume continues it"):
        ran(cache, begun, small(steps=4, checkpoint_every=2))
    assert (begun / LAST).read_bytes() == before
    (begun / "file").write_text("mine")
    with pytest.raises(OutputError, match="file: is a file; RUN must be a folder"):
        ran(cache, begun / "file", small())


def test_a_checkpoint_without_what_training_needs_is_refused(cache: Cache, begun: Path, tmp_path: Path) -> None:
    whole = Checkpoint.load(begun)
    for training in ({}, {**whole.training, "rest": {}}, {**whole.training, "optimizer": {}}):
        replace(whole, training=training).save(tmp_path / LAST)
        with pytest.raises(CheckpointError, match="does not hold what this training needs to go on"):
            ran(cache, tmp_path, small(steps=4, checkpoint_every=2), resume=True)


def test_the_first_difference_is_named_wherever_it_is(begun: Path) -> None:
    one = {"a": {"b": [1, {"c": 2}]}, "d": 3}
    assert list(differing(one, one)) == []
    assert list(differing(one, {"a": {"b": [1, {"c": 4}]}, "d": 3, "e": 5})) == [("a.b.1.c", 2, 4), ("e", None, 5)]
    assert list(differing(one, {"a": {"b": [1]}, "d": 3})) == [("a.b", [1, {"c": 2}], [1])]
    assert list(differing(one, {"a": None})) == [("a", one["a"], None), ("d", 3, None)]
    before = Checkpoint.load(begun)
    recipe = small(steps=4, checkpoint_every=7, probe__every=3, compile=True)
    check_same(before, recipe, before.data, begun)


def test_batches_that_cannot_be_are_refused_before_any_work(cache: Cache, mixed: Cache, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="There are 56 items for a global batch of 64"):
        ran(cache, tmp_path / "run", small(batch_size=64))
    with pytest.raises(ArgumentError, match="There are 9 items for a global batch of 10"):
        ran(mixed, tmp_path / "run", small(batch_size=10, required_streams="both"))
    with pytest.raises(ArgumentError, match=r"was prepared with .*size=32.*the recipe's encoders need .*size=48"):
        ran(cache, tmp_path / "run", small(encoders__size=48))
    assert not (tmp_path / "run").exists()
