from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sides import everyone, pair, small, tensors

from avfeat.errors import ArgumentError
from avfeat.training.objectives.simsiam import SimSiamSettings


def slow_distance(predictions: np.ndarray, projections: np.ndarray) -> float:
    """D of SimSiam, equation 1, averaged over samples."""
    total = 0.0
    for p, z in zip(predictions, projections, strict=True):
        total -= sum(p * z) / (math.sqrt(sum(p * p)) * math.sqrt(sum(z * z)))
    return total / len(predictions)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_loss_is_the_papers(batch: int) -> None:
    one, other = pair(batch, seed=batch)
    _, p1, z1, _, p2, z2 = (leaf.detach().numpy() for leaf in tensors(one, other))
    expected = slow_distance(p1, z2) / 2 + slow_distance(p2, z1) / 2
    objective = small("simsiam")
    assert objective.pair_loss(one, other, everyone(batch)).item() == pytest.approx(expected, rel=1e-9)


def test_what_is_predicted_is_the_projection_and_has_no_gradient() -> None:
    objective = small("simsiam").eval()
    batch = {"video": [torch.randn(3, 7), torch.randn(3, 7)]}
    side, other = objective._embed("video", batch, None, torch.ones(3, dtype=torch.bool)).values()
    assert torch.equal(side.target, side.projection) and not side.target.requires_grad
    # All that the projection gets comes through the predictor: with that cut off, there is nothing.
    kept = objective.pair_loss(side, other, everyone(3))
    gradients = torch.autograd.grad(kept, [side.prediction, other.prediction], retain_graph=True)
    torch.autograd.backward([side.prediction, other.prediction], gradients, retain_graph=True)
    through = [one.grad.clone() for one in objective.projectors["video"].parameters()]
    objective.zero_grad()
    kept.backward()
    assert all(one.any() for one in through)
    for one, expected in zip(objective.projectors["video"].parameters(), through, strict=True):
        torch.testing.assert_close(one.grad, expected)


def test_heads_are_the_published_ones() -> None:
    objective = small("simsiam")
    projector, predictor = objective.projectors["audio"], objective.predictors["audio"]
    kinds = ["Linear", "BatchNorm1d", "ReLU"]
    assert [type(layer).__name__ for layer in projector] == [*kinds * 2, "Linear", "BatchNorm1d"]
    assert [type(layer).__name__ for layer in predictor] == [*kinds, "Linear"]
    linear = [layer for head in (projector, predictor) for layer in head if isinstance(layer, torch.nn.Linear)]
    assert [(one.in_features, one.out_features) for one in linear] == [(5, 8), (8, 8), (8, 6), (6, 4), (4, 6)]
    assert not projector[-1].affine and predictor[-1].bias is not None
    assert objective.fixed_predictor_rate


def test_the_predictor_has_a_width() -> None:
    with pytest.raises(ArgumentError, match="predictor_hidden must be a whole number from 1 on, not 0"):
        SimSiamSettings(predictor_hidden=0)
