from __future__ import annotations

import math
from dataclasses import asdict, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sides import everyone, noise
from torch import Tensor

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.objectives.distillation import Distillation, DistillationSettings
from avfeat.training.objectives.embedded import Chosen
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.imitation import regression
from avfeat.training.teachers.lesson import Lesson, TeacherOutput


def slow_regression(predicted: Tensor, taught: Tensor, here: list[bool]) -> float:
    """Unit vectors, the squared distance of each two, the mean over the views of the clips that count."""
    views, found = len(predicted) // len(here), []
    for number, (one, other) in enumerate(zip(predicted.tolist(), taught.tolist(), strict=True)):
        if here[number // views]:
            lengths = [math.sqrt(sum(x * x for x in row)) for row in (one, other)]
            found.append(sum((x / lengths[0] - y / lengths[1]) ** 2 for x, y in zip(one, other, strict=True)))
    return sum(found) / len(found)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_loss_is_that_of_slow_loops_and_absent_clips_are_as_if_not_there(data: st.DataObject) -> None:
    here = data.draw(st.lists(st.booleans(), min_size=1, max_size=5).filter(any))
    views = data.draw(st.integers(1, 3))
    predicted, taught = noise(2, len(here) * views, 4, seed=data.draw(st.integers(0, 99))).float()
    expected = slow_regression(predicted, taught, here)
    absent = ~torch.tensor(here).repeat_interleave(views)
    for rows in (predicted, taught):
        rows[absent] = data.draw(st.sampled_from([0.0, 1e30, torch.nan, torch.inf]))
    predicted.requires_grad_()
    loss = regression(predicted, taught, GatheredRows.from_mask(torch.tensor(here)))
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert predicted.grad is not None and not predicted.grad[absent].any() and predicted.grad[~absent].any()


def test_it_is_zero_for_one_direction_and_four_for_the_opposite() -> None:
    taught = noise(6, 5).float()
    assert regression(3 * taught, taught, everyone(3)).item() == pytest.approx(0, abs=1e-6)
    assert regression(-0.1 * taught, taught, everyone(3)).item() == pytest.approx(4)
    assert regression(taught, taught, GatheredRows.from_mask(torch.zeros(3, dtype=torch.bool))).item() == 0


def test_settings_that_came_later_are_written_where_they_are_not_at_their_default() -> None:
    first = {"teacher": "run", "weight": 3.0, "hidden": 8}
    plain = DistillationSettings("run", weight=3.0, hidden=8)
    assert plain.to_values(asdict(plain)) == first
    later = {"loss": "smooth_l1", "scores": 0.5, "frames": 4}
    changed = replace(plain, loss="smooth_l1", scores=0.5, frames=4)
    assert changed.to_values(asdict(changed)) == first | later


STUDENT: dict[Modality, int] = {"video": 7, "audio": 5}
TEACHER: dict[Modality, Lesson] = {"video": Lesson(11, 6), "audio": Lesson(4, 3, several=True)}


def test_every_modality_has_its_head_and_counts_as_much() -> None:
    torch.manual_seed(0)
    distillation = Distillation(DistillationSettings("run", weight=2.0, hidden=6), STUDENT, TEACHER).eval()
    assert distillation.weight == 2.0
    # Two views of three clips; the second clip has no sound.
    present: dict[Modality, Tensor] = {
        "video": torch.tensor([True] * 3),
        "audio": torch.tensor([True, False, True]),
    }
    rows = {name: Chosen(there.repeat_interleave(2)) for name, there in present.items()}
    whole = {name: noise(6, dim, seed=dim).float() for name, dim in STUDENT.items()}
    taught = {name: TeacherOutput(noise(6, one.dim, seed=one.dim).float()) for name, one in TEACHER.items()}
    found = distillation({name: rows[name](one) for name, one in whole.items()}, rows, present, taught)
    each = [
        slow_regression(distillation.heads[name](one).detach(), taught[name].features, present[name].tolist())
        for name, one in whole.items()
    ]
    assert each[0] != pytest.approx(each[1], rel=0.01)
    assert found.item() == pytest.approx(sum(each) / 2, rel=1e-4)


def test_a_batch_without_sound_leaves_the_statistics_of_its_head() -> None:
    torch.manual_seed(0)
    distillation = Distillation(DistillationSettings("run", hidden=6), STUDENT, TEACHER)
    present: dict[Modality, Tensor] = {"video": torch.tensor([True] * 3), "audio": torch.tensor([False] * 3)}
    rows = {name: Chosen(there) for name, there in present.items()}
    features = {name: rows[name](noise(3, dim).float()) for name, dim in STUDENT.items()}
    taught = {name: TeacherOutput(noise(3, one.dim, seed=1).float()) for name, one in TEACHER.items()}
    assert bool(torch.isfinite(distillation(features, rows, present, taught)))
    moved = {name for name, one in distillation.named_buffers() if name.endswith("running_mean") and one.any()}
    assert moved == {"heads.video.1.running_mean"}


def test_only_what_is_taught_counts() -> None:
    torch.manual_seed(0)
    settings = DistillationSettings({"audio": "run"}, hidden=6)
    distillation = Distillation(settings, STUDENT, {"audio": TEACHER["audio"]}).eval()
    present = dict.fromkeys(STUDENT, torch.ones(3, dtype=torch.bool))
    rows = {name: Chosen(there) for name, there in present.items()}
    features = {name: noise(3, dim, seed=dim).float() for name, dim in STUDENT.items()}
    taught = noise(3, 4, seed=9).float()
    found = distillation(features, rows, present, {"audio": TeacherOutput(taught)})
    expected = slow_regression(distillation.heads["audio"](features["audio"]).detach(), taught, [True] * 3)
    assert set(distillation.heads) == {"audio"} and found.item() == pytest.approx(expected, rel=1e-4)


def test_class_scores_are_predicted_as_their_teacher_has_them() -> None:
    """Slow loops: a sum over classes that may all be true, a mean over clips, and over modalities."""
    torch.manual_seed(0)
    settings = DistillationSettings({"video": "a", "audio": "b"}, hidden=6, scores=0.5)
    distillation = Distillation(settings, STUDENT, TEACHER).eval()
    present: dict[Modality, Tensor] = {
        "video": torch.tensor([True] * 3),
        "audio": torch.tensor([True, False, True]),
    }
    rows = {name: Chosen(there) for name, there in present.items()}
    whole = {name: noise(3, dim, seed=dim).float() for name, dim in STUDENT.items()}
    shares = {"video": noise(3, 6).float().softmax(1), "audio": noise(3, 3).float().sigmoid()}
    shares["audio"][1] = torch.nan
    taught = {name: TeacherOutput(noise(3, one.dim).float(), shares[name]) for name, one in TEACHER.items()}
    found = distillation({name: rows[name](one) for name, one in whole.items()}, rows, present, taught)
    alone = DistillationSettings({"video": "a", "audio": "b"}, hidden=6)
    without = Distillation(alone, STUDENT, TEACHER).eval()
    without.load_state_dict({n: v for n, v in distillation.state_dict().items() if not n.startswith("score")})
    features = without({name: rows[name](one) for name, one in whole.items()}, rows, present, taught)
    video, audio = (distillation.score_heads[name](whole[name]).detach() for name in ("video", "audio"))
    one_of = [
        -sum(s * math.log(p) for s, p in zip(wanted, row, strict=True))
        for wanted, row in zip(shares["video"].tolist(), video.softmax(1).tolist(), strict=True)
    ]
    several = [
        -sum(
            s * math.log(p) + (1 - s) * math.log(1 - p)
            for s, p in zip(shares["audio"][n].tolist(), audio[n].sigmoid().tolist(), strict=True)
        )
        for n in (0, 2)
    ]
    expected = features.item() + 0.5 * (sum(one_of) / 3 + sum(several) / 2) / 2
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_standardised_features_are_regressed_and_absent_clips_are_as_if_not_there() -> None:
    torch.manual_seed(0)
    settings = DistillationSettings({"audio": "a"}, hidden=6, loss="smooth_l1")
    distillation = Distillation(settings, STUDENT, {"audio": Lesson(4)})
    present: dict[Modality, Tensor] = {"audio": torch.tensor([True, True, False, True])}
    rows = {"audio": Chosen(present["audio"])}
    features, taught = noise(4, 5).float(), 30 + 4 * noise(4, 4, seed=1).float()
    here = taught[present["audio"]].clone()
    taught[2] = torch.nan
    found = distillation({"audio": rows["audio"](features)}, rows, present, {"audio": TeacherOutput(taught)})
    standard = (here - here.mean(0)) / (here.var(0, correction=0) + 1e-5).sqrt()
    away = (distillation.heads["audio"](features[present["audio"]]) - standard).abs()
    expected = torch.where(away < 1, away.square() / 2, away - 0.5).mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(distillation.norms["audio"].running_mean, 0.1 * here.mean(0))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"teacher": ""}, "teacher must be the folder of a run, or a checkpoint"),
        ({"teacher": "run", "weight": 0.0}, "weight must be above 0; distillation=null has none"),
        ({"teacher": "run", "weight": math.inf}, "weight must be a number from 0 on, not inf"),
        ({"teacher": "run", "hidden": 0}, "hidden must be a whole number from 1 on, not 0"),
        ({"teacher": "run", "frames": 0}, "frames must be a whole number from 1 on, not 0"),
        ({"teacher": "run", "scores": -1.0}, "scores must be a number from 0 on, not -1.0"),
        ({"teacher": {}}, "teacher must be the folder of a run, or a checkpoint, or one by modality, not {}"),
        ({"teacher": {"video": ""}}, "or one by modality, not {'video': ''}"),
        ({"teacher": {"vidoe": "a"}}, "teacher is for video and audio, not 'vidoe'; did you mean 'video'?"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        DistillationSettings(**values)  # type: ignore[arg-type]
