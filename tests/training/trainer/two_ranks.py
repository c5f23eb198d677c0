"""What each of two processes computes; spawned, so a module of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from small_runs import copied, small, trainer
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.training.checkpoint import Checkpoint
from avfeat.training.data import Cache
from avfeat.training.networks import build_pair
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.shared import info_nce
from avfeat.training.recipes import Recipe
from avfeat.training.trainer.process import join_processes
from avfeat.training.trainer.trainer import Trainer
from avfeat.training.trainer.views import Views

BATCH = 8
PRESENT: dict[Any, Tensor] = {
    "video": torch.tensor([1, 1, 0, 1, 1, 1, 1, 1], dtype=torch.bool),
    # The second process has no sound at all.
    "audio": torch.tensor([1, 0, 1, 1, 0, 0, 0, 0], dtype=torch.bool),
}
_ONE_KIND = {"video_video": 0.0, "audio_audio": 0.0, "video_audio": 0.0}
RECIPES: dict[str, dict[str, Any]] = {
    "simclr, encoder": {"shared__reach": "encoder"},
    "byol": {"objective__name": "byol"},
    "pictures alone": {"objective__pairs": {**_ONE_KIND, "video_video": 1.0}, "shared__weight": 0.0},
    "sound alone, shared space": {
        "objective__name": "vicreg",
        "objective__pairs": {**_ONE_KIND, "audio_audio": 1.0},
    },
    "two passes": {"grad_accumulation_steps": 2, "objective__name": "simsiam"},
    # Sound has nothing to learn from but the teacher.
    "taught": {
        "distillation": {"teacher": "teacher.pt", "hidden": 16},
        "objective__pairs": {**_ONE_KIND, "video_video": 1.0},
        "shared__weight": 0.0,
    },
}


def write_teacher(folder: Path) -> None:
    """Where ``recipe`` looks for it."""
    torch.manual_seed(3)
    recipe = small()
    weights = build_pair(recipe.encoders).state_dict()
    Checkpoint(recipe.to_values(), recipe.steps, {}, {}, weights, {}).save(folder / "teacher.pt")


def recipe(name: str, folder: Path) -> Recipe:
    changes = dict(RECIPES[name])
    if "distillation" in changes:
        changes["distillation"] = changes["distillation"] | {"teacher": str(folder / "teacher.pt")}
    return small(**{"steps": 2, "batch_size": BATCH} | changes)


def fixed(first: int, last: int) -> tuple[Tensor, Tensor, dict[Any, Tensor]]:
    """Views of the clips from one to before another: frames, waveform, what is there."""
    generator = torch.Generator().manual_seed(4)
    frames = torch.rand(BATCH, 2, 4, 3, 32, 32, generator=generator)[first:last].flatten(0, 1)
    waveform = torch.randn(BATCH, 2, 16_000, generator=generator)[first:last].flatten(0, 1) / 5
    return frames, waveform, {name: mask[first:last] for name, mask in PRESENT.items()}


def gradients(one: Trainer, first: int, last: int) -> dict[str, Any]:
    """Loss and gradients of a part, BatchNorm in evaluation mode: equal embeddings, however it is divided."""
    views = Views(*fixed(first, last))
    taught = one.teacher(views) if one.teacher else None
    outcome = one.wrapped.eval()(views.frames, views.waveform, views.present, taught)
    outcome.total.backward()
    found = {name: weight.grad for name, weight in one.model.named_parameters() if weight.requires_grad}
    one.wrapped.train()
    return {
        "total": outcome.total.detach(),
        "shared": outcome.shared,
        "gradients": {name: None if one is None else one.clone() for name, one in found.items()},
    }


def shared_space(first: int, last: int) -> dict[str, Tensor]:
    """``info_nce`` of a part, and its gradients."""
    generator = torch.Generator().manual_seed(6)
    sides = torch.nn.functional.normalize(torch.randn(2, BATCH, 5, generator=generator, dtype=torch.float64), dim=2)
    video, audio = (side[first:last].clone().requires_grad_() for side in sides)
    here = (PRESENT["video"] & PRESENT["audio"])[first:last]
    loss = info_nce(video, audio, GatheredRows.from_mask(here), 0.3)
    loss.backward()
    assert video.grad is not None and audio.grad is not None
    return {"loss": loss.detach(), "video": video.grad, "audio": audio.grad}


def work(rank: int, folder: str, cache: str, port: int) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    half, data = slice(rank * BATCH // 2, (rank + 1) * BATCH // 2), Cache(Path(cache))
    found: dict[str, Any] = {}
    with join_processes("cpu") as process:
        found["shared space"] = shared_space(half.start, half.stop)
        found["any"] = [process.any(rank == 1), process.any(False), process.mean(torch.tensor([1.0 + rank])).item()]
        try:
            trainer(data, small(batch_size=9), process)
        except ArgumentError as error:
            found["refused"] = str(error)
        for name in RECIPES:
            one = trainer(data, recipe(name, Path(folder)), process)
            found[name] = gradients(one, half.start, half.stop)
            one.optimizer.zero_grad()
            one.trial()
            with one.batches(0) as batches:
                items = []
                for step in range(2):
                    outcome, views = one.step(step, _noted(batches, items))
                found[name]["metrics"] = one.metrics(2, outcome, views)["loss"]
            found[name] |= {"items": items, "weights": copied(one.model)}
    torch.save(found, Path(folder) / f"{rank}.pt")


def _noted(batches, items: list[list[int]]):
    for batch in batches:
        items.append(batch["item"].tolist())
        yield batch
