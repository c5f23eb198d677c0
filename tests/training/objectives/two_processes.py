"""What two processes compute, each with its half of a batch; spawned, so a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from sides import NAMES, features, small
from torch import Tensor

from avfeat.bundle import Modality
from avfeat.training.objectives.gather import gather

BATCH = 8
MASKS: dict[str, dict[Modality, Tensor]] = {
    "all": {"video": torch.ones(BATCH, dtype=torch.bool), "audio": torch.ones(BATCH, dtype=torch.bool)},
    # Unlike in both halves; none at all of the second's have sound.
    "some": {
        "video": torch.tensor([1, 1, 0, 1, 1, 1, 1, 1], dtype=torch.bool),
        "audio": torch.tensor([1, 0, 1, 1, 0, 0, 0, 0], dtype=torch.bool),
    },
}


def outcome(name: str, part: slice, masks: dict[Modality, Tensor]) -> dict[str, Any]:
    """Loss and gradients of part of the batch.

    The heads are in evaluation mode: equal embeddings, however the batch is divided.
    """
    objective = small(name).double().eval()
    leaves = {
        modality: [view.double()[part].clone().requires_grad_() for view in views]
        for modality, views in features(BATCH).items()
    }
    target = {
        modality: [view.double()[part] for view in views] for modality, views in features(BATCH, seed=9).items()
    }
    losses = objective(leaves, target, {modality: mask[part] for modality, mask in masks.items()})
    losses.total.backward()
    return {
        "total": losses.total.detach(),
        "terms": losses.terms,
        "counts": losses.counts,
        "features": {modality: [view.grad for view in views] for modality, views in leaves.items()},
        "parameters": {key: one.grad for key, one in objective.named_parameters() if one.requires_grad},
    }


def gathered(rank: int) -> tuple[Tensor, Tensor]:
    """All rows, and the gradient that comes back when rank r weights row i with (r + 1) * i."""
    local = (torch.arange(4.0).view(2, 2) + 10 * rank).requires_grad_()
    whole = gather(local)
    (whole * torch.arange(4.0)[:, None] * (rank + 1)).sum().backward()
    assert local.grad is not None
    return whole.detach(), local.grad


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    part = slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
    found: dict[str, Any] = {"gathered": gathered(rank)}
    for name in NAMES:
        for kind, masks in MASKS.items():
            found[f"{name} {kind}"] = outcome(name, part, masks)
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
