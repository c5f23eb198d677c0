"""What runs take: measured on finished ones, or by a trial, and scaled by the frames that they look at."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from avfeat.errors import ArgumentError
from avfeat.training.data.loader import Batch
from avfeat.training.recipes import Recipe
from avfeat.training.study.results import RunResult
from avfeat.training.trainer.memory import keep_freed_memory
from avfeat.training.trainer.model import Pretraining
from avfeat.training.trainer.views import augment_views, seeds_of

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_TRIALS = 3


def duration_of(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``1.5h``.

    Raises:
        ArgumentError: something else.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", text.strip())
    if found is None:
        raise ArgumentError(f"--budget must be a duration such as 90s, 30m or 2h, not {text!r}.")
    return float(found[1]) * _UNITS[found[2]]


def work(recipe: Recipe, clips: int, windows: int) -> dict[str, float]:
    """Frames that a run looks at, in ``training`` and in ``probing``.

    Args:
        recipe: of the run.
        clips: that are probed.
        windows: of each.
    """
    views, frames = recipe.sampling.views, recipe.encoders.frames
    return {
        "training": float(recipe.steps * recipe.batch_size * views * frames),
        "probing": float(clips * windows * frames),
    }


def cost_class(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Runs whose recipes (their values) are of one class take as much time a frame."""
    encoders = recipe["encoders"]
    return encoders["video"], encoders["audio"], str(encoders["size"]), recipe["objective"]["name"]


Rates = tuple[float, float]
"""Seconds a frame, in training and in probing."""


@dataclass
class Estimator:
    """Foretells the seconds of runs on this machine.

    Attributes:
        device: of all runs.
        threads: of each.
        clips: that are probed.
        windows: of each.
    """

    device: torch.device
    threads: int
    clips: int
    windows: int
    _measured: dict[tuple[str, ...], list[Rates]] = field(default_factory=dict)
    _tried: dict[tuple[str, ...], Rates] = field(default_factory=dict)

    def learn(self, result: RunResult, machine: dict[str, Any]) -> None:
        """Take in a finished run, if it ran on a machine like this one."""
        same = all(result.machine.get(name) == machine.get(name) for name in ("device", "cores", "threads"))
        if not same or not all(result.cost.get(name) for name in ("training", "probing")):
            return
        rates = tuple(result.seconds[name] / result.cost[name] for name in ("training", "probing"))
        self._measured.setdefault(cost_class(result.recipe), []).append((rates[0], rates[1]))

    def seconds(self, recipe: Recipe) -> float:
        """Of a run: the median of finished ones of its class, scaled; by a trial for the first."""
        training, probing = self._rates(recipe)
        cost = work(recipe, self.clips, self.windows)
        return training * cost["training"] + probing * cost["probing"]

    def _rates(self, recipe: Recipe) -> Rates:
        kind = cost_class(recipe.to_values())
        if kind in self._measured:
            known = self._measured[kind]
            return statistics.median(one for one, _ in known), statistics.median(one for _, one in known)
        if kind not in self._tried:
            self._tried[kind] = trial(recipe, self.device, self.threads)
        return self._tried[kind]


def trial(recipe: Recipe, device: torch.device, threads: int) -> Rates:
    """Seconds a frame of one step, and of one batch of features, on random numbers; data is not loaded."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    if device.type == "cpu":
        # As a training does, or the first trial is the slowest.
        keep_freed_memory()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = Pretraining(recipe, published=False).to(device)
        clips = recipe.batch_size // recipe.grad_accumulation_steps
        frames = clips * recipe.sampling.views * recipe.encoders.frames
        batch = _noise(recipe, clips, device)
        step = min(_time(lambda: _step(model, batch, recipe)) for _ in range(_TRIALS))
        model.eval()
        embedding = min(_time(lambda: _embed(model, batch)) for _ in range(_TRIALS))
        return step / frames, embedding / frames
    finally:
        torch.set_num_threads(before)


def _time(work: Any) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _step(model: Pretraining, batch: Batch, recipe: Recipe) -> float:
    seeds = seeds_of(0, 0, 0, batch["frames"].shape[0] * batch["frames"].shape[1])
    views = augment_views(batch, recipe.augment, recipe.encoders.sample_rate, seeds)
    outcome = model(views.frames, views.waveform, views.present)
    outcome.total.backward()
    return float(outcome.total.item())


@torch.no_grad()
def _embed(model: Pretraining, batch: Batch) -> float:
    frames = batch["frames"].flatten(0, 1).movedim(-1, -3).float() / 255
    video = model.pair.video.backbone(frames)
    audio = model.pair.audio.backbone(model.log_mel(batch["waveform"].flatten(0, 1)))
    return float(video.sum() + audio.sum())


def _noise(recipe: Recipe, clips: int, device: torch.device) -> Batch:
    spec, views = recipe.encoders, recipe.sampling.views
    generator = torch.Generator().manual_seed(0)
    shape = (clips, views, spec.frames, spec.size, spec.size, 3)
    samples = recipe.sampling.samples(spec.sample_rate)
    there = torch.ones(clips, dtype=torch.bool)
    batch = {
        "frames": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
        "waveform": 0.1 * torch.randn((clips, views, samples), generator=generator),
        "has_video": there,
        "has_audio": there,
    }
    return {name: one.to(device) for name, one in batch.items()}
