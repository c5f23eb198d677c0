from __future__ import annotations

import numpy as np
import pytest
import torch
from sides import everyone, pair, small, tensors

from avfeat.errors import ArgumentError
from avfeat.training.objectives.barlow_twins import BarlowTwinsSettings, off_diagonal


def slow_barlow(first: np.ndarray, second: np.ndarray, redundancy: float, scale: float) -> float:
    """Barlow Twins, equation 1, of what BatchNorm (epsilon 1e-5) gives."""
    first, second = ((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) for z in (first, second))
    batch, dim = first.shape
    total = 0.0
    for i in range(dim):
        for j in range(dim):
            c = sum(first[b, i] * second[b, j] for b in range(batch)) / batch
            total += (1 - c) ** 2 if i == j else redundancy * c**2
    return scale * total


@pytest.mark.parametrize(("redundancy", "scale"), [(0.0051, 1.0), (0.5, 0.1), (0.0, 2.0)])
@pytest.mark.parametrize("batch", [2, 5, 9])
def test_the_loss_is_the_papers(batch: int, redundancy: float, scale: float) -> None:
    one, other = pair(batch, seed=batch)
    first, second = (side.projection.detach().numpy() for side in (one, other))
    objective = small("barlow_twins", redundancy=redundancy, scale=scale)
    expected = slow_barlow(first, second, redundancy, scale)
    assert objective.pair_loss(one, other, everyone(batch)).item() == pytest.approx(expected, rel=1e-9)


def test_it_is_the_published_code_in_one_process() -> None:
    one, other = pair(6)
    norm = torch.nn.BatchNorm1d(6, affine=False, dtype=torch.float64)
    c = norm(one.projection).T @ norm(other.projection) / 6
    published = (c.diagonal() - 1).square().sum() + 0.0051 * (c - torch.diag(c.diagonal())).square().sum()
    mine = small("barlow_twins", scale=1.0).pair_loss(one, other, everyone(6))
    leaves = [one.projection, other.projection]
    torch.testing.assert_close(mine, published)
    torch.testing.assert_close(torch.autograd.grad(mine, leaves), torch.autograd.grad(published, leaves))


def test_both_projections_learn_and_nothing_else() -> None:
    one, other = pair(4)
    small("barlow_twins").pair_loss(one, other, everyone(4)).backward()
    learns = [leaf.grad is not None and bool(leaf.grad.any()) for leaf in tensors(one, other)]
    assert learns == [True, False, False] * 2


def test_off_diagonal_leaves_out_the_diagonal() -> None:
    matrix = torch.arange(16).view(4, 4)
    assert sorted(off_diagonal(matrix).flatten().tolist()) == [n for n in range(16) if n % 5]


@pytest.mark.parametrize("wrong", [{"redundancy": -1.0}, {"scale": 0.0}, {"out": 1}, {"hidden": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=f"{next(iter(wrong))} must be"):
        BarlowTwinsSettings(**wrong)  # type: ignore[arg-type]


def test_the_weight_is_the_papers_unless_another_is_given() -> None:
    settings = BarlowTwinsSettings()
    assert (settings.redundancy, settings.scale) == (0.0051, 0.1)
