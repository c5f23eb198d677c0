from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sides import everyone, pair, small, tensors

from avfeat.errors import ArgumentError
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.simclr import SimCLRSettings, nt_xent


def slow_nt_xent(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """SimCLR, algorithm 1, word by word."""
    rows = [row / math.sqrt(sum(row * row)) for pair in zip(first, second, strict=True) for row in pair]
    total = 0.0
    for k in range(len(first)):
        for i, j in ((2 * k, 2 * k + 1), (2 * k + 1, 2 * k)):
            others = sum(math.exp(rows[i] @ rows[n] / temperature) for n in range(len(rows)) if n != i)
            total -= math.log(math.exp(rows[i] @ rows[j] / temperature) / others)
    return total / len(rows)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_nt_xent_is_the_papers(batch: int, temperature: float) -> None:
    one, other = pair(batch, seed=batch)
    expected = slow_nt_xent(one.projection.detach().numpy(), other.projection.detach().numpy(), temperature)
    objective = small("simclr", temperature=temperature)
    assert objective.pair_loss(one, other, everyone(batch)).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_both_projections_learn_and_nothing_else() -> None:
    one, other = pair(4)
    small("simclr").pair_loss(one, other, everyone(4)).backward()
    learns = [leaf.grad is not None and bool(leaf.grad.any()) for leaf in tensors(one, other)]
    assert learns == [True, False, False] * 2


def test_length_does_not_matter_and_gradients_are_right() -> None:
    one, other = (side.projection for side in pair(3, 4))
    rows = GatheredRows.from_mask(torch.tensor([True, False, True]))
    torch.testing.assert_close(nt_xent(one * 3, other / 7, rows, 0.3), nt_xent(one, other, rows, 0.3))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, rows, 0.3), (one, other))


def test_the_temperature_is_above_0() -> None:
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ArgumentError, match="temperature must be a number above 0"):
            SimCLRSettings(temperature=wrong)
