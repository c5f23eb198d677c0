from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sides import everyone, noise
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.shared import SharedSettings, info_nce


def slow_info_nce(video: np.ndarray, audio: np.ndarray, here: list[bool], temperature: float) -> float:
    """CLIP, figure 3, over the samples that count: the mean of both directions' cross entropies."""
    members = [n for n, counts in enumerate(here) if counts]
    total = 0.0
    for asked, answers in ((video, audio), (audio, video)):
        for one in members:
            scores = {other: float(asked[one] @ answers[other]) / temperature for other in members}
            total += math.log(sum(math.exp(score) for score in scores.values())) - scores[one]
    return total / (2 * len(members))


def sides(batch: int, dim: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    video, audio = torch.nn.functional.normalize(noise(2, batch, dim, seed=seed), dim=2)
    return video.requires_grad_(), audio.requires_grad_()


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
@pytest.mark.parametrize("here", [[True] * 2, [True] * 7, [True, False, True, True, False], [False, True, False]])
def test_the_loss_is_that_of_slow_loops(here: list[bool], temperature: float) -> None:
    video, audio = sides(len(here), seed=len(here))
    expected = slow_info_nce(video.detach().numpy(), audio.detach().numpy(), here, temperature)
    found = info_nce(video, audio, GatheredRows.from_mask(torch.tensor(here)), temperature)
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_samples_without_both_are_as_if_not_there() -> None:
    here = torch.tensor([True, False, True, True, False])
    video, audio = sides(5)
    with torch.no_grad():
        video[1], audio[4] = torch.nan, torch.inf
    loss = info_nce(video, audio, GatheredRows.from_mask(here), 0.2)
    few = [side.detach()[here].requires_grad_() for side in (video, audio)]
    expected = info_nce(*few, everyone(3), 0.2)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    for side, alone in zip((video, audio), few, strict=True):
        assert side.grad is not None and not side.grad[~here].any()
        torch.testing.assert_close(side.grad[here], alone.grad)


def test_nobody_costs_nothing_and_has_no_gradient() -> None:
    video, audio = sides(3)
    loss = info_nce(video, audio, GatheredRows.from_mask(torch.zeros(3, dtype=torch.bool)), 0.1)
    loss.backward()
    assert loss.item() == 0 and video.grad is not None and not video.grad.any()


def test_it_is_symmetric_and_lower_where_pairs_agree() -> None:
    video, audio = (side.detach() for side in sides(6))
    rows = everyone(6)
    torch.testing.assert_close(info_nce(video, audio, rows, 0.1), info_nce(audio, video, rows, 0.1))
    assert info_nce(video, video, rows, 0.1) < info_nce(video, audio, rows, 0.1)


def test_half_precision_is_compared_in_single() -> None:
    video, audio = (side.detach() for side in sides(6))
    found = info_nce(video.bfloat16(), audio.bfloat16(), everyone(6), 0.07)
    expected = info_nce(video.bfloat16().float(), audio.bfloat16().float(), everyone(6), 0.07)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


@pytest.mark.parametrize(
    "wrong", [{"weight": -1.0}, {"weight": math.inf}, {"temperature": 0.0}, {"temperature": math.nan}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=f"{next(iter(wrong))} must be"):
        SharedSettings(**wrong)  # type: ignore[arg-type]
