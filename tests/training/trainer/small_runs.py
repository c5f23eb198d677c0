"""Small trainings for tests: seconds of synthetic videos, tiny networks, a few steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avfeat.training.checkpoint import LAST
from avfeat.training.data import Cache
from avfeat.training.recipes import Recipe
from avfeat.training.trainer import Event, MetricsLogged, train
from avfeat.training.trainer.process import Process
from avfeat.training.trainer.trainer import Trainer

DATA = "synthetic:ave?videos=56"
"""Two videos of each class."""
TIMES = ("seconds", "clips_per_second", "waiting")
"""What no two runs have in common."""
ALONE = Process(0, 1, torch.device("cpu"))
_HEADS: dict[str, dict[str, Any]] = {
    name: {"hidden": 32, "out": 32} for name in ("simclr", "moco_v3", "byol", "barlow_twins", "vicreg")
}
_HEADS["simsiam"] = {"hidden": 32, "out": 32, "predictor_hidden": 16}


def small_values(**changes: Any) -> dict[str, Any]:
    """Values of a recipe; ``changes`` replace settings, ``optimizer__lr=1`` nested ones."""
    values: dict[str, Any] = {
        "encoders": {
            "video": "tiny_shift", "audio": "tiny_mel",
            "seconds": 1.0, "fps": 4, "size": 32, "sample_rate": 16_000, "shared": 16,
        },
        "objective": {"name": "simclr", "settings": _HEADS},
        "augment": {
            "sampling": {"spacing": "decreasing", "jitter": 0.2},
            "augmentations": [{"flip": {"p": 0.5}}, {"gain": {}}, {"time_mask": {"p": 0.5}}],
        },
        "optimizer": {"name": "adamw", "lr": 2e-3, "warmup": 0.2},
        "probe": {"every": 0, "clips": 40, "windows": 1},
        "steps": 6, "batch_size": 8, "workers": 0, "log_every": 1, "checkpoint_every": 100,
    }  # fmt: skip
    for key, value in changes.items():
        *parents, name = key.split("__")
        place = values
        for parent in parents:
            place[parent] = place = dict(place.get(parent, {}))
        place[name] = value
    return values


def small(**changes: Any) -> Recipe:
    """A recipe of ``small_values``."""
    return Recipe.from_values(small_values(**changes))


def ran(
    cache: Cache, run: Path, recipe: Recipe, resume: bool = False, stop_after: int | None = None
) -> list[Event]:
    """All events of a training; with ``stop_after`` it is left, as by a kill, after a line of
    metrics that comes after a checkpoint of that step or a later one."""
    # Sums in another order have other last bits.
    torch.set_num_threads(1)
    found: list[Event] = []
    events = train(cache, "some clips", run, recipe, resume=resume, device="cpu")
    for event in events:
        found.append(event)
        if stop_after is not None and isinstance(event, MetricsLogged) and _saved(run) >= stop_after:
            events.close()
            break
    return found


def _saved(run: Path) -> int:
    return int(torch.load(run / LAST, weights_only=True)["step"]) if (run / LAST).exists() else -1


def lines(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics without times."""
    read = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in read]


def state(run: Path) -> dict[str, Any]:
    """Everything that a checkpoint holds of a training, but for times."""
    values = torch.load(run / LAST, weights_only=True)
    kept = {key: values[key] for key in ("recipe", "step", "data", "encoders", "training")}
    kept["training"] = {name: value for name, value in kept["training"].items() if name != "seconds"}
    return kept


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """Names of what is not equal, tensors bit for bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        return [d for key in keys for d in differences(one.get(key), other.get(key), f"{name}.{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [d for place, (a, b) in pairs for d in differences(a, b, f"{name}.{place}")]
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return [] if torch.equal(one, other) else [name]
    return [] if one == other else [name]


def trainer(cache: Cache, recipe: Recipe, process: Process = ALONE) -> Trainer:
    return Trainer(recipe, cache, "some clips", process)


def copied(module: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of all weights and buffers."""
    return {name: one.clone() for name, one in module.state_dict().items()}
