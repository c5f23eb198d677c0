from __future__ import annotations

import math

import numpy as np
import pytest
from sides import everyone, pair, small, tensors

from avfeat.errors import ArgumentError
from avfeat.training.objectives.vicreg import VICRegSettings


def slow_variance(z: np.ndarray) -> float:
    """VICReg, equations 1 and 2."""
    hinges = [max(0.0, 1 - math.sqrt(z[:, j].var(ddof=1) + 1e-4)) for j in range(z.shape[1])]
    return sum(hinges) / len(hinges)


def slow_covariance(z: np.ndarray) -> float:
    """VICReg, equations 3 and 4."""
    matrix = np.cov(z.T)
    dim = len(matrix)
    return float(sum(matrix[i, j] ** 2 for i in range(dim) for j in range(dim) if i != j)) / dim


@pytest.mark.parametrize("weights", [(25, 25, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 3, 5)])
@pytest.mark.parametrize("batch", [2, 3, 9])
def test_the_loss_is_the_papers(batch: int, weights: tuple[int, int, int]) -> None:
    one, other = pair(batch, seed=batch)
    first, second = (side.projection.detach().numpy() for side in (one, other))
    of_invariance, of_variance, of_covariance = weights
    expected = of_invariance * ((first - second) ** 2).mean()
    expected += of_variance * (slow_variance(first) + slow_variance(second)) / 2
    expected += of_covariance * (slow_covariance(first) + slow_covariance(second))
    settings = dict(zip(("invariance", "variance", "covariance"), weights, strict=True))
    loss = small("vicreg", **settings).pair_loss(one, other, everyone(batch))
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_both_projections_learn_and_nothing_else() -> None:
    one, other = pair(4)
    small("vicreg").pair_loss(one, other, everyone(4)).backward()
    learns = [leaf.grad is not None and bool(leaf.grad.any()) for leaf in tensors(one, other)]
    assert learns == [True, False, False] * 2


def test_weights_are_the_papers_unless_others_are_given() -> None:
    settings = VICRegSettings()
    assert (settings.invariance, settings.variance, settings.covariance) == (25, 25, 1)


@pytest.mark.parametrize("name", ["invariance", "variance", "covariance"])
def test_weights_are_not_negative(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name} must be a number from 0 on, not -1"):
        VICRegSettings(**{name: -1.0})  # type: ignore[arg-type]
