"""A teacher for each modality: published networks with weights that the tests make, and runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import differences, lines, ran, small, state, trainer
from torchvision.models import MobileNet_V3_Small_Weights, mobilenet_v3_small

from avfeat.errors import ArgumentError
from avfeat.training.backbones.mn04 import Mn04
from avfeat.training.checkpoint import Checkpoint, CheckpointError
from avfeat.training.data import Cache
from avfeat.training.networks.published import WeightsError
from avfeat.training.recipes import Recipe
from avfeat.training.teachers.lesson import Lesson
from avfeat.training.trainer.resume import check_teacher
from avfeat.training.trainer.teacher import Teacher

PICTURES = "torchvision:mobilenet_v3_small"
PICTURES_ALONE = {
    "objective__pairs": {"video_video": 1.0, "audio_audio": 0.0, "video_audio": 0.0},
    "shared__weight": 0.0,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of torch's downloads, with a network of pictures and one of sounds in it."""
    home = tmp_path_factory.mktemp("torch")
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setenv("TORCH_HOME", str(home))
        torch.manual_seed(0)
        name = MobileNet_V3_Small_Weights.DEFAULT.url.rpartition("/")[2]
        torch.save(mobilenet_v3_small(weights=None).state_dict(), folder / name)
        torch.save(Mn04().state_dict(), folder / "mn04_as_mAP_432.pt")
        yield folder


@pytest.fixture(scope="module")
def run(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a pair."""
    path = tmp_path_factory.mktemp("teacher")
    ran(cache, path, small(steps=1))
    return path


def student(teacher: str | dict[str, str], **changes: Any) -> Recipe:
    distillation = {"hidden": 16, "frames": 1} | changes.pop("distillation", {})
    return small(**{"distillation": {"teacher": teacher} | distillation} | changes)


def test_pictures_alone_are_taught(cache: Cache, weights: Path) -> None:
    one = trainer(cache, student({"video": PICTURES}, **PICTURES_ALONE))
    assert one.teacher is not None and one.teacher.lessons == {"video": Lesson(1024, 1000)}
    assert one.model.modalities == ("video",) and one.cost(0, 1.0).parameters["audio"] == 0
    with one.batches(0) as batches:
        outcome, views = one.forward_backward(next(batches), 0)
    assert views.waveform is None and outcome.distillation is not None
    assert outcome.total.item() == pytest.approx(outcome.objective.item() + 10 * outcome.distillation.item())
    assert one.model.distillation is not None and set(one.model.distillation.heads) == {"video"}
    facts = one.provenance["teacher"]
    assert facts.keys() == {"video"} and facts["video"]["source"] == PICTURES and "licence" in facts["video"]


def test_sound_alone_is_taught_and_its_classes_are(cache: Cache, weights: Path) -> None:
    recipe = student({"audio": "mn04_as"}, distillation={"scores": 0.02}, **PICTURES_ALONE)
    one = trainer(cache, recipe)
    assert one.teacher is not None and one.teacher.lessons == {"audio": Lesson(384, 527, several=True)}
    assert one.model.modalities == ("video", "audio")
    with one.batches(0) as batches:
        one.forward_backward(next(batches), 0)
    audio = dict(one.model.pair.audio.backbone.named_parameters())
    assert all(weight.grad is not None and weight.grad.any() for weight in audio.values())
    heads = one.model.distillation
    assert heads is not None
    assert all(weight.grad is not None and weight.grad.any() for weight in heads.score_heads.parameters())
    assert set(heads.heads) == set(heads.score_heads) == {"audio"}


def test_a_published_network_and_a_run_teach_and_it_goes_on_as_if_left_alone(
    mixed: Cache, weights: Path, run: Path, tmp_path: Path
) -> None:
    changes = {"distillation": {"scores": 0.1, "loss": "smooth_l1"}, "steps": 4, "checkpoint_every": 2}
    recipe = student({"video": PICTURES, "audio": str(run)}, **changes)
    ran(mixed, tmp_path / "alone", recipe)
    ran(mixed, tmp_path / "twice", recipe, stop_after=2)
    # One has moved.
    shutil.copytree(run, tmp_path / "moved")
    moved = student({"video": PICTURES, "audio": str(tmp_path / "moved")}, **changes)
    ran(mixed, tmp_path / "twice", moved, resume=True)
    assert lines(tmp_path / "twice") == lines(tmp_path / "alone")
    left = differences(state(tmp_path / "twice"), state(tmp_path / "alone"))
    assert left == [".recipe.distillation.teacher.audio"]
    facts = Checkpoint.load(tmp_path / "alone").provenance["teacher"]
    assert facts["audio"]["data"] == Checkpoint.load(run).data and facts["audio"]["step"] == 1
    assert facts["video"]["source"] == PICTURES and len(facts["video"]["fingerprint"]) == 64
    assert json.loads((tmp_path / "alone" / "run.json").read_text())["starts"][0]["teacher"] == facts


def test_another_teacher_in_its_place_is_refused(weights: Path, run: Path, tmp_path: Path) -> None:
    known = Teacher.from_recipe(student({"audio": "mn04_as", "video": str(run)}))
    assert known is not None
    before = replace(Checkpoint.load(run), provenance={"teacher": known.facts})
    file = tmp_path / "mn04.pt"
    shutil.copy(weights / "mn04_as_mAP_432.pt", file)
    check_teacher(before, Teacher.from_recipe(student({"audio": f"mn04_as:{file}", "video": str(run)})))
    torch.manual_seed(1)
    torch.save(Mn04().state_dict(), file)
    for teacher, named in (
        ({"audio": f"mn04_as:{file}", "video": str(run)}, f"audio=mn04_as:{file}"),
        ({"audio": "mn04_as"}, "video=null"),
        ({"audio": "mn04_as", "video": PICTURES}, f"video={PICTURES}"),
    ):
        with pytest.raises(CheckpointError) as caught:
            check_teacher(before, Teacher.from_recipe(student(teacher)))
        assert str(caught.value).startswith(f"distillation.teacher.{named}: its weights are not those that")


def test_a_run_in_one_word_is_that_run_for_both(run: Path) -> None:
    one, both = (
        Teacher.from_recipe(student(str(run))),
        Teacher.from_recipe(student({"video": str(run), "audio": str(run)})),
    )
    assert one is not None and both is not None and one.lessons == both.lessons
    for known, other in ((one, both), (both, one)):
        check_teacher(replace(Checkpoint.load(run), provenance={"teacher": known.facts}), other)


def test_a_run_that_teaches_one_modality_has_the_windows_of_that_one(run: Path) -> None:
    assert Teacher.from_recipe(student({"audio": str(run)}, encoders__size=48)) is not None
    assert Teacher.from_recipe(student({"video": str(run)}, encoders__sample_rate=8000)) is not None
    for modality, change in (("video", {"encoders__size": 48}), ("audio", {"encoders__sample_rate": 8000})):
        with pytest.raises(ArgumentError, match=f"^distillation.teacher.{modality}=.*: takes windows of "):
            Teacher.from_recipe(student({modality: str(run)}, **change))


def test_teachers_that_cannot_teach_are_refused_in_a_sentence(run: Path, weights: Path, tmp_path: Path) -> None:
    gone = tmp_path / "mn04.pt"
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        ({"audio": f"mn04_as:{gone}"}, {}, WeightsError, f".audio=mn04_as:{gone}: {gone}: no such file; take "),
        ({"video": "mn04_as"}, {}, ArgumentError, ".video=mn04_as: mn04_as: is a network of sound, "),
        ("mn04_as", {}, ArgumentError, "=mn04_as: is a network of one modality; --set distillation."),
    ]
    for teacher, changes, kind, says in cases:
        with pytest.raises(kind) as caught:
            Teacher.from_recipe(student(teacher, **changes))
        assert str(caught.value).startswith(f"distillation.teacher{says}") and "\n" not in str(caught.value)
    with pytest.raises(ArgumentError, match=r"^distillation\.scores=1: the teacher gives no class scores; leave"):
        Teacher.from_recipe(student(str(run), distillation={"scores": 1.0}))
