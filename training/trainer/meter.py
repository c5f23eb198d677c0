"""Means over the steps since the last line of metrics, kept on the device until they are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from avfeat import bench
from avfeat.training.trainer.model import StepOutput
from avfeat.training.trainer.process import Process


class Meter:
    """Losses and times of some steps; part of a checkpoint, so that lines do not depend on interruptions."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._clips = 0
        self._waited = 0.0
        self._begun = time.perf_counter()

    def add(self, outcomes: Sequence[StepOutput], norm: Tensor, clips: int) -> None:
        """Take in a step: the outcomes of its passes, the norm of its gradient, and how many clips it had."""
        for outcome in outcomes:
            self._sum("loss", outcome.total.detach() / len(outcomes))
            self._sum("objective", outcome.objective / len(outcomes))
            for name, value in outcome.terms.items():
                self._sum(name, value / len(outcomes))
            if outcome.shared is not None:
                self._sum("shared", outcome.shared / len(outcomes))
            if outcome.distillation is not None:
                self._sum("distillation", outcome.distillation / len(outcomes))
        self._sum("grad_norm", norm)
        self._count += 1
        self._clips += clips

    def _sum(self, name: str, value: Tensor) -> None:
        value = value.float()
        self._sums[name] = self._sums[name] + value if name in self._sums else value

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block waits for data."""
        begun = time.perf_counter()
        yield
        self._waited += time.perf_counter() - begun

    def take(self, process: Process) -> dict[str, float]:
        """Means over all steps and processes since the last call, and begin again."""
        names = list(self._sums)
        means = process.mean(torch.stack([self._sums[name] for name in names])) / max(1, self._count)
        took = max(time.perf_counter() - self._begun, 1e-9)
        found = dict(zip(names, means.tolist(), strict=True))
        found |= {"clips_per_second": self._clips / took, "waiting": self._waited / took}
        self.__init__()  # type: ignore[misc]
        return found

    def state(self) -> dict[str, Any]:
        """For a checkpoint: the losses; times begin anew."""
        return {"sums": {name: value.cpu() for name, value in self._sums.items()}, "count": self._count}

    def load(self, state: Mapping[str, Any], device: torch.device) -> None:
        """From a checkpoint."""
        self._sums = {name: value.to(device) for name, value in state["sums"].items()}
        self._count = state["count"]


def peak_memory(device: torch.device) -> int:
    """The most bytes taken so far: of the GPU, or of this process; 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return bench.peak_memory() or 0
