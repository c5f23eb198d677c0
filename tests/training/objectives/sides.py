"""Random sides and batches for the tests of objectives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from avfeat.bundle import Modality
from avfeat.training.objectives import OBJECTIVES, Objective, Pairs, build_objective
from avfeat.training.objectives.embedded import HeadOutput
from avfeat.training.objectives.gather import GatheredRows

NAMES = sorted(OBJECTIVES)
DIMS: dict[Modality, int] = {"video": 7, "audio": 5}
ALL = Pairs(1.0, 0.5, 2.0, 0.25)


def small(name: str, pairs: Pairs | None = None, views: int = 2, **settings: Any) -> Objective[Any]:
    """One with narrow heads, always the same."""
    torch.manual_seed(1)
    extra = {"predictor_hidden": 4} if name == "simsiam" else {}
    return build_objective(name, DIMS, {"hidden": 8, "out": 6} | extra | settings, pairs or ALL, views)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def everyone(batch: int) -> GatheredRows:
    return GatheredRows.from_mask(torch.ones(batch, dtype=torch.bool))


def pair(batch: int, dim: int = 6, seed: int = 0) -> tuple[HeadOutput, HeadOutput]:
    """Two sides whose six tensors have nothing in common; leaves with gradients."""
    numbers = noise(6, batch, dim, seed=seed)
    leaves = [one.clone().requires_grad_() for one in numbers]
    return HeadOutput(*leaves[:3]), HeadOutput(*leaves[3:])


def tensors(*sides: HeadOutput) -> list[Tensor]:
    return [one for side in sides for one in (side.projection, side.prediction, side.target)]


def take(side: HeadOutput, index: Tensor) -> HeadOutput:
    """Some samples of a side, as leaves."""
    return HeadOutput(*(one.detach()[index].clone().requires_grad_() for one in tensors(side)))


def features(batch: int, views: int = 2, seed: int = 0) -> dict[Modality, list[Tensor]]:
    return {
        name: list(noise(views, batch, width, seed=seed + number).float())
        for number, (name, width) in enumerate(DIMS.items())
    }
