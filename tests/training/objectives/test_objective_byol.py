from __future__ import annotations

import numpy as np
import pytest
import torch
from sides import everyone, pair, small, tensors


def slow_regression(predictions: np.ndarray, targets: np.ndarray) -> float:
    """BYOL, equation 2: the squared distance of the normalised vectors, averaged over samples."""
    total = 0.0
    for q, z in zip(predictions, targets, strict=True):
        total += sum((q / np.linalg.norm(q) - z / np.linalg.norm(z)) ** 2)
    return total / len(predictions)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_loss_is_the_papers(batch: int) -> None:
    one, other = pair(batch, seed=batch)
    _, q1, k1, _, q2, k2 = (leaf.detach().numpy() for leaf in tensors(one, other))
    expected = slow_regression(q1, k2) + slow_regression(q2, k1)
    assert small("byol").pair_loss(one, other, everyone(batch)).item() == pytest.approx(expected, rel=1e-9)


def test_projections_learn_through_predictions_alone() -> None:
    one, other = pair(4)
    small("byol").pair_loss(one, other, everyone(4)).backward()
    for side in (one, other):
        assert side.projection.grad is None or not side.projection.grad.any()
        assert side.prediction.grad is not None and side.prediction.grad.any(1).all()


def test_heads_are_the_published_ones() -> None:
    objective = small("byol")
    for head in (objective.projectors["video"], objective.predictors["video"]):
        assert [type(layer).__name__ for layer in head] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
        assert isinstance(head[3], torch.nn.Linear) and head[3].bias is None
