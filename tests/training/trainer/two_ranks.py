"""What each of two processes computes; spawned, so a module of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from small_runs import copied, small, trainer
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.training.data import Cache
from avfeat.training.objectives.distillation import regression
from avfeat.training.objectives.gather import Rows
from avfeat.training.objectives.shared import info_nce
from avfeat.training.recipes import Recipe
from avfeat.training.trainer.model import Pretraining
from avfeat.training.trainer.process import joined

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
    "two passes": {"accumulate": 2, "objective__name": "simsiam"},
}


def recipe(name: str) -> Recipe:
    return small(**{"steps": 2, "batch_size": BATCH} | RECIPES[name])


def fixed(first: int, last: int) -> tuple[Tensor, Tensor, dict[Any, Tensor]]:
    """Views of the clips from one to before another: frames, waveform, what is there."""
    generator = torch.Generator().manual_seed(4)
    frames = torch.rand(BATCH, 2, 4, 3, 32, 32, generator=generator)[first:last].flatten(0, 1)
    waveform = torch.randn(BATCH, 2, 16_000, generator=generator)[first:last].flatten(0, 1) / 5
    return frames, waveform, {name: mask[first:last] for name, mask in PRESENT.items()}


def gradients(model: Pretraining, wrapped: torch.nn.Module, first: int, last: int) -> dict[str, Any]:
    """Loss and gradients of a part, BatchNorm in evaluation mode: equal embeddings, however it is divided."""
    outcome = wrapped.eval()(*fixed(first, last))
    outcome.total.backward()
    found = {name: one.grad for name, one in model.named_parameters() if one.requires_grad}
    wrapped.train()
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
    loss = info_nce(video, audio, Rows.of(here), 0.3)
    loss.backward()
    assert video.grad is not None and audio.grad is not None
    return {"loss": loss.detach(), "video": video.grad, "audio": audio.grad}


def distilled(first: int, last: int) -> dict[str, Tensor]:
    """``regression`` of a part, two views of a clip, and its gradient."""
    generator = torch.Generator().manual_seed(7)
    predicted, taught = torch.randn(2, 2 * BATCH, 5, generator=generator)[:, 2 * first : 2 * last]
    predicted = predicted.clone().requires_grad_()
    loss = regression(predicted, taught, Rows.of(PRESENT["audio"][first:last]))
    loss.backward()
    assert predicted.grad is not None
    return {"loss": loss.detach(), "predicted": predicted.grad}


def work(rank: int, folder: str, cache: str, port: int) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    half, data = slice(rank * BATCH // 2, (rank + 1) * BATCH // 2), Cache(Path(cache))
    found: dict[str, Any] = {}
    with joined("cpu") as process:
        found["shared space"] = shared_space(half.start, half.stop)
        found["distilled"] = distilled(half.start, half.stop)
        found["any"] = [process.any(rank == 1), process.any(False), process.mean(torch.tensor([1.0 + rank])).item()]
        try:
            trainer(data, small(batch_size=9), process)
        except ArgumentError as error:
            found["refused"] = str(error)
        for name in RECIPES:
            one = trainer(data, recipe(name), process)
            found[name] = gradients(one.model, one.wrapped, half.start, half.stop)
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
