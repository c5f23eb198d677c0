"""A small pair that learns from a trained, larger one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import ALONE, copied, differences, lines, ran, small, state, trainer

from avfeat.errors import ArgumentError
from avfeat.training.checkpoint import LAST, Checkpoint, CheckpointError
from avfeat.training.data import Cache
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.recipes import Recipe
from avfeat.training.teachers.lesson import Lesson
from avfeat.training.trainer.teacher import Teacher
from avfeat.training.trainer.views import Views, augment_views, seeds_of, to_device

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
    assert teacher is not None and teacher.lessons == {"video": Lesson(768), "audio": Lesson(768)}
    with one.batches(0) as batches:
        batch = to_device(next(batches), ALONE.device, one.model.modalities)
    views = augment_views(batch, one.recipe.augment, 16_000, seeds_of(0, 0, 0, 16))
    assert views.frames is not None and views.waveform is not None
    found = {name: said.features for name, said in teacher(views).items()}
    pair = Checkpoint.load(taught_by).pair()
    with torch.inference_mode():
        expected = {
            "video": pair.video.backbone(views.frames),
            "audio": pair.audio.backbone(LogMel(16_000)(views.waveform)),
        }
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not any(one.requires_grad for one in (*found.values(), *teacher.parameters()))
    # Nothing of a batch is in the teacher's BatchNorm, nor does it stay there.
    few = teacher(Views(views.frames[:4], views.waveform[:4], views.present))
    torch.testing.assert_close(few["video"].features, found["video"][:4], rtol=1e-3, atol=1e-3)
    before = copied(teacher)
    one.trial()
    with one.batches(0) as batches:
        one.step(0, batches)
    assert differences(copied(teacher), before) == []


def test_its_part_of_the_loss_is_noted_and_falls(cache: Cache, taught_by: Path, tmp_path: Path) -> None:
    ran(cache, tmp_path, small(steps=40, **student(taught_by, optimizer={"name": "adamw", "lr": 0.01})))
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
    # Its teacher has moved: the weights count, not the place.
    moved = tmp_path / "elsewhere" / "checkpoint.pt"
    moved.parent.mkdir()
    shutil.copy(taught_by / LAST, moved)
    again = replace(recipe, distillation=replace(recipe.distillation, teacher=str(moved)))
    ran(mixed, tmp_path / "twice", again, resume=True)
    assert lines(tmp_path / "twice") == lines(tmp_path / "alone")
    left = differences(state(tmp_path / "twice"), state(tmp_path / "alone"))
    assert left == [".recipe.distillation.teacher"]


def test_another_teacher_in_its_place_is_refused(cache: Cache, taught_by: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(taught_by, teacher)
    ran(cache, tmp_path / "run", small(steps=2, **student(teacher)))
    # The same checkpoint, written again by another training.
    shutil.rmtree(teacher)
    ran(cache, teacher, small(steps=2, seed=1, **LARGER))
    with pytest.raises(CheckpointError, match="weights are not those that the training was begun with") as caught:
        ran(cache, tmp_path / "run", small(steps=4, **student(teacher)), resume=True)
    assert str(caught.value).startswith(f"distillation.teacher={teacher}: ") and "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="was begun with distillation"):
        ran(cache, tmp_path / "run", small(steps=4), resume=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"encoders__size": 48},
            "takes windows of size 32, not 48; take another teacher, or --set encoders.size=32.",
        ),
        ({"encoders__fps": 8}, "takes windows of fps 4, not 8;"),
        ({"encoders__seconds": 2.0}, "takes windows of seconds 1.0, not 2.0;"),
    ],
)
def test_a_teacher_of_other_windows_is_refused(taught_by: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Teacher.from_recipe(small(**student(taught_by), **changes))
    assert str(caught.value).startswith(f"distillation.teacher={taught_by}: ") and says in str(caught.value)


def test_a_teacher_that_is_not_there_or_not_ready_is_refused(taught_by: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint is there"):
        Teacher.from_recipe(small(**student(tmp_path / "none")))
    assert Teacher.from_recipe(small()) is None
    trained = Checkpoint.load(taught_by)
    for name, change, says in (
        ("early", {"step": 1}, "is at step 1 of 2; finish it first, or take a training that has ended."),
        ("other", {"encoders": {}}, "The checkpoint's weights do not fit its networks: "),
        ("newer", {"recipe": {"encoders": {"video": "x"}}}, "The checkpoint's networks are unknown here "),
    ):
        path = tmp_path / f"{name}.pt"
        replace(trained, **change).save(path)  # type: ignore[arg-type]
        with pytest.raises(CheckpointError) as caught:
            Teacher.from_recipe(small(**student(path)))
        assert str(caught.value).startswith(f"distillation.teacher={path}: {says}") and "\n" not in str(
            caught.value
        )


def test_a_run_says_who_taught_it(cache: Cache, taught_by: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOME", str(taught_by.parent))
    recipe = small(steps=1, **student(Path("~") / taught_by.name))
    ran(cache, tmp_path, recipe)
    said = Checkpoint.load(tmp_path).provenance["teacher"]
    assert said["source"] == f"~/{taught_by.name}" and said["step"] == 2 and len(said["fingerprint"]) == 64
    assert said["data"] == Checkpoint.load(taught_by).data
    assert json.loads((tmp_path / "run.json").read_text())["starts"][0]["teacher"] == said
    # What was trained without one says nothing, and its settings are those of before there were teachers.
    assert "teacher" not in Checkpoint.load(taught_by).provenance
    assert "distillation" not in small().to_values() and Recipe.from_values(recipe.to_values()) == recipe


def test_building_with_a_teacher_leaves_the_global_generator(cache: Cache, taught_by: Path) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    taught, alone = trainer(cache, small(**student(taught_by))), trainer(cache, small())
    assert torch.equal(before, torch.get_rng_state())
    # All else begins as it does without a teacher.
    assert differences(copied(taught.model.pair), copied(alone.model.pair)) == []
    assert differences(copied(taught.model.objective), copied(alone.model.objective)) == []
