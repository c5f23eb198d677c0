from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sides import everyone, noise
from torch import Tensor

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.objectives.distillation import Distillation, DistillationSettings, regression
from avfeat.training.objectives.embedded import Chosen
from avfeat.training.objectives.gather import Rows


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
    loss = regression(predicted, taught, Rows.of(torch.tensor(here)))
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert predicted.grad is not None and not predicted.grad[absent].any() and predicted.grad[~absent].any()


def test_it_is_zero_for_one_direction_and_four_for_the_opposite() -> None:
    taught = noise(6, 5).float()
    assert regression(3 * taught, taught, everyone(3)).item() == pytest.approx(0, abs=1e-6)
    assert regression(-0.1 * taught, taught, everyone(3)).item() == pytest.approx(4)
    assert regression(taught, taught, Rows.of(torch.zeros(3, dtype=torch.bool))).item() == 0


STUDENT: dict[Modality, int] = {"video": 7, "audio": 5}
TEACHER: dict[Modality, int] = {"video": 11, "audio": 4}


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
    taught = {name: noise(6, dim, seed=dim).float() for name, dim in TEACHER.items()}
    found = distillation({name: rows[name](one) for name, one in whole.items()}, rows, present, taught)
    each = [
        slow_regression(distillation.heads[name](whole[name]).detach(), taught[name], present[name].tolist())
        for name in STUDENT
    ]
    assert each[0] != pytest.approx(each[1], rel=0.01)
    assert found.item() == pytest.approx(sum(each) / 2, rel=1e-4)


def test_a_batch_without_sound_leaves_the_statistics_of_its_head() -> None:
    torch.manual_seed(0)
    distillation = Distillation(DistillationSettings("run", hidden=6), STUDENT, TEACHER)
    present: dict[Modality, Tensor] = {"video": torch.tensor([True] * 3), "audio": torch.tensor([False] * 3)}
    rows = {name: Chosen(there) for name, there in present.items()}
    features = {name: rows[name](noise(3, dim).float()) for name, dim in STUDENT.items()}
    taught = {name: noise(3, dim, seed=1).float() for name, dim in TEACHER.items()}
    assert bool(torch.isfinite(distillation(features, rows, present, taught)))
    moved = {name for name, one in distillation.named_buffers() if name.endswith("running_mean") and one.any()}
    assert moved == {"heads.video.1.running_mean"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"teacher": ""}, "teacher must be the folder of a run, or a checkpoint"),
        ({"teacher": "run", "weight": 0.0}, "weight must be above 0, not 0.0; distillation=null has none"),
        ({"teacher": "run", "weight": math.inf}, "weight must be above 0, not inf"),
        ({"teacher": "run", "hidden": 0}, "hidden must be a width from 1 on, not 0"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        DistillationSettings(**values)  # type: ignore[arg-type]
