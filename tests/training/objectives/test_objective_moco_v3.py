from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sides import everyone, pair, small, tensors

from avfeat.errors import ArgumentError
from avfeat.training.objectives.moco_v3 import MoCoV3Settings


def slow_ctr(queries: np.ndarray, keys: np.ndarray, temperature: float) -> float:
    """MoCo v3, algorithm 1: ``ctr``, with the cross entropy in loops."""
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    total = 0.0
    for number, query in enumerate(queries):
        similar = [math.exp(query @ key / temperature) for key in keys]
        total -= math.log(similar[number] / sum(similar))
    return 2 * temperature * total / len(queries)


@pytest.mark.parametrize("temperature", [0.1, 0.2, 1.0])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_loss_is_the_papers(batch: int, temperature: float) -> None:
    one, other = pair(batch, seed=batch)
    _, q1, k1, _, q2, k2 = (leaf.detach().numpy() for leaf in tensors(one, other))
    expected = slow_ctr(q1, k2, temperature) + slow_ctr(q2, k1, temperature)
    objective = small("moco_v3", temperature=temperature)
    assert objective.pair_loss(one, other, everyone(batch)).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_projections_learn_through_predictions_alone() -> None:
    one, other = pair(4)
    small("moco_v3").pair_loss(one, other, everyone(4)).backward()
    for side in (one, other):
        assert side.projection.grad is None or not side.projection.grad.any()
        assert side.prediction.grad is not None and side.prediction.grad.any(1).all()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ArgumentError, match="temperature must be a number above 0"):
        MoCoV3Settings(temperature=0)
    with pytest.raises(ArgumentError, match="base_momentum must be a number from 0 to 1"):
        MoCoV3Settings(base_momentum=1.1)


def test_heads_are_those_of_the_published_resnet() -> None:
    objective = small("moco_v3")
    projector, predictor = objective.projectors["video"], objective.predictors["video"]
    hidden = ["Linear", "BatchNorm1d", "ReLU"]
    assert [type(layer).__name__ for layer in projector] == [*hidden, "Linear", "BatchNorm1d"]
    assert [type(layer).__name__ for layer in predictor] == [*hidden, "Linear"]
    linear = [layer for head in (projector, predictor) for layer in head if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(7, 8), (8, 6), (6, 8), (8, 6)]
    assert all(layer.bias is None for layer in linear)
    assert projector[1].affine and not projector[4].affine
