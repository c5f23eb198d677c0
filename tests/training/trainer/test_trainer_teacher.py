"""A small pair that learns from a trained, larger one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import ALONE, differences, lines, ran, small, state, trainer

from avfeat.errors import ArgumentError
from avfeat.training.checkpoint import Checkpoint, CheckpointError
from avfeat.training.data import Cache
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.trainer.teacher import Teacher
from avfeat.training.trainer.views import augmented, seeds_of, to_device

LARGER = {"encoders__video": "shift_resnet14", "encoders__audio": "mel_resnet14"}


@pytest.fixture(scope="module")
def taught_by(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a larger pair."""
    run = tmp_path_factory.mktemp("teacher")
    ran(cache, run, small(steps=2, **LARGER))
    return run


def student(teacher: Path, **changes: Any) -> dict[str, Any]:
    return {"distillation": {"teacher": str(teacher), "hidden": 32}} | changes


def test_it_teaches_the_features_of_evaluation_mode_of_the_same_views(cache: Cache, taught_by: Path) -> None:
    one = trainer(cache, small(**student(taught_by)))
    teacher = one.teacher
    assert teacher is not None and teacher.dims == {"video": 768, "audio": 768}
    with one.batches(0) as batches:
        batch = to_device(next(batches), ALONE.device, one.model.modalities)
    views = augmented(batch, one.recipe.augment, 16_000, seeds_of(0, 0, 0, 16))
    assert views.frames is not None and views.waveform is not None
    found, pair = teacher(views), Checkpoint.load(taught_by).pair()
    with torch.inference_mode():
        expected = {
            "video": pair.video.backbone(views.frames),
            "audio": pair.audio.backbone(LogMel(16_000)(views.waveform)),
        }
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not any(one.requires_grad for one in (*found.values(), *teacher.parameters()))
    # In one batch or in two: nothing of the batch is in the teacher's BatchNorm.
    torch.testing.assert_close(pair.video.backbone(views.frames[:4]), found["video"][:4], rtol=1e-3, atol=1e-3)


def test_a_student_comes_nearer_to_its_teacher(cache: Cache, taught_by: Path, tmp_path: Path) -> None:
    ran(cache, tmp_path, small(steps=40, **student(taught_by, optimizer={"name": "adamw", "rate": 0.01})))
    found = [line["distillation"] for line in lines(tmp_path)]
    # Unit vectors that have nothing in common are at a squared distance of 2.
    assert 1.7 < found[0] < 2.3 and sum(found[-5:]) / 5 < 0.75 * found[0]
    for line in lines(tmp_path):
        assert line["loss"] == pytest.approx(
            line["objective"] + line["shared"] + 10 * line["distillation"], rel=1e-4
        )


def test_it_moves_the_encoders_alone_where_nothing_else_does(cache: Cache, taught_by: Path) -> None:
    """The objective looks at pictures alone: without the teacher, no sound is learned."""
    pairs = {"video_video": 1.0, "audio_audio": 0.0, "video_audio": 0.0}
    changes: dict[str, Any] = {"objective__pairs": pairs, "shared__weight": 0.0}
    assert trainer(cache, small(**changes)).cost(0, 1.0).parameters["audio"] == 0
    one = trainer(cache, small(**changes, **student(taught_by)))
    with one.batches(0) as batches:
        one.forward_backward(next(batches), 0)
    audio = dict(one.model.pair.audio.backbone.named_parameters())
    assert all(weight.grad is not None and weight.grad.any() for weight in audio.values())
    heads = 2 * (256 * 32 + 2 * 32 + 32 * 768 + 768)
    video = 256 * 32 + 2 * 32 + 32 * 32 + 2 * 32
    assert one.cost(0, 1.0).parameters["heads"] == heads + video


def test_what_is_left_of_it_is_the_student(cache: Cache, taught_by: Path, tmp_path: Path) -> None:
    ran(cache, tmp_path / "taught", small(steps=1, **student(taught_by)))
    ran(cache, tmp_path / "alone", small(steps=1))
    taught, alone = (state(tmp_path / name) for name in ("taught", "alone"))
    assert taught["encoders"].keys() == alone["encoders"].keys()
    assert {name.split(".")[0] for name in taught["training"]["rest"]} == {"objective", "distillation"}
    assert differences(taught["encoders"], alone["encoders"]) != []
    Checkpoint.load(tmp_path / "taught").pair()


def test_a_training_with_a_teacher_goes_on_as_if_left_alone(mixed: Cache, taught_by: Path, tmp_path: Path) -> None:
    recipe = small(steps=6, checkpoint_every=3, log_every=2, precision="bf16", **student(taught_by))
    ran(mixed, tmp_path / "alone", recipe)
    ran(mixed, tmp_path / "twice", recipe, stop_after=3)
    ran(mixed, tmp_path / "twice", recipe, resume=True)
    assert lines(tmp_path / "twice") == lines(tmp_path / "alone")
    assert differences(state(tmp_path / "twice"), state(tmp_path / "alone")) == []


def test_another_teacher_in_its_place_is_refused(cache: Cache, taught_by: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(taught_by, teacher)
    ran(cache, tmp_path / "run", small(steps=2, **student(teacher)))
    # The same checkpoint, written again by another training.
    shutil.rmtree(teacher)
    ran(cache, teacher, small(steps=2, seed=1, **LARGER))
    with pytest.raises(CheckpointError, match="weights are not those that the training was begun with") as caught:
        ran(cache, tmp_path / "run", small(steps=4, **student(teacher)), resume=True)
    assert str(caught.value).startswith(f"{teacher}: ") and "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="was begun with distillation"):
        ran(cache, tmp_path / "run", small(steps=4), resume=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"encoders__size": 48}, "takes windows of size 32, not 48; take another one, or --set encoders.size=32."),
        ({"encoders__fps": 8}, "takes windows of fps 4, not 8;"),
        ({"encoders__seconds": 2.0}, "takes windows of seconds 1.0, not 2.0;"),
    ],
)
def test_a_teacher_of_other_windows_is_refused(taught_by: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Teacher.of(small(**student(taught_by), **changes))
    assert str(caught.value).startswith(f"{taught_by}: this teacher ") and says in str(caught.value)


def test_a_teacher_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint is there"):
        Teacher.of(small(**student(tmp_path / "none")))
    assert Teacher.of(small()) is None
