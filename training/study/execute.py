"""One run: train, probe, and leave a result; stopped at any time, it goes on from its checkpoint."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from avfeat.errors import BusyError
from avfeat.lock import hold_lock
from avfeat.stop import StopRequest
from avfeat.training.data import Cache
from avfeat.training.data.lock import NAME as LOCK
from avfeat.training.provenance import describe_data, describe_machine, revision, versions
from avfeat.training.study.budget import work
from avfeat.training.study.grid import Run
from avfeat.training.study.material import PARTS, Part, open_caches
from avfeat.training.study.measure import ProbeError, measure
from avfeat.training.study.results import RunFailure, RunResult, read, write
from avfeat.training.trainer import Device, DivergedError, TrainingFinished, TrainingStopped, train
from avfeat.training.trainer.journal import read_metrics
from avfeat.training.trainer.process import join_processes


@dataclass(frozen=True)
class Job:
    """A run, and what it needs to be done anywhere on this machine.

    Attributes:
        run: what is trained.
        folder: of its files.
        caches: the prepared parts of the data.
        source: the data as it was asked for.
        windows: of each clip that are probed.
        device: where to compute.
        threads: of the processor.
        workers: processes that load clips, where the recipe names no number.
    """

    run: Run
    folder: Path
    caches: dict[Part, Path]
    source: str
    windows: int
    device: Device
    threads: int
    workers: int


@dataclass(frozen=True)
class Ending:
    """How the work on a job ended.

    ``over``: its files say how; ``stopped``: ``signal`` asked for it, and the checkpoint is there; ``busy``:
    another process is at it.
    """

    how: Literal["over", "stopped", "busy"]
    signal: int = 0


class _Asked(Exception):  # noqa: N818
    """A signal asks to stop while features are made."""


def execute(job: Job) -> Ending:
    """Do a run, or go on with it.

    Raises:
        AvfeatError: data, device or folder that cannot be used: nothing that is the run's own fault.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(job.folder / LOCK))
        except BusyError:
            return Ending("busy")
        if read(job.folder) is not None:
            return Ending("over")
        before = torch.get_num_threads()
        stack.callback(torch.set_num_threads, before)
        torch.set_num_threads(job.threads)
        process = stack.enter_context(join_processes(job.device))
        stop = stack.enter_context(StopRequest())
        return _Execution(job, process.device, stop).go()


@dataclass(frozen=True)
class _Execution:
    job: Job
    device: torch.device
    stop: StopRequest

    def go(self) -> Ending:
        try:
            return self._go()
        except (DivergedError, ProbeError) as error:
            write(self.job.folder, RunFailure(**self._facts(), message=str(error)))
            return Ending("over")
        except _Asked:
            return Ending("stopped", self.stop.signal or 0)

    def _go(self) -> Ending:
        job = self.job
        caches = open_caches(job.caches)
        recipe = job.run.recipe
        end = self._train(caches["train"])
        if isinstance(end, TrainingStopped):
            return Ending("stopped", end.signal)
        begun = time.perf_counter()
        measured = measure(job.folder, caches, job.windows, self.device, self._alive)
        seconds = {"training": end.seconds, "probing": time.perf_counter() - begun}
        result = RunResult(
            **self._facts(),
            data=describe_data(job.source, caches["train"]),
            windows=job.windows,
            accuracy=measured.accuracy,
            c=measured.c,
            loss=read_metrics(job.folder)[-1]["loss"],
            seconds=seconds,
            cost=work(recipe, sum(len(caches[part]) for part in PARTS), job.windows),
            versions=versions(),
            revision=revision(),
        )
        write(job.folder, result)
        return Ending("over")

    def _train(self, cache: Cache) -> TrainingFinished | TrainingStopped:
        job, recipe = self.job, self.job.run.recipe
        if recipe.workers is None:
            # What loads the clips makes no difference to them.
            recipe = replace(recipe, workers=job.workers)
        with closing(train(cache, job.source, job.folder, recipe, resume=True, device=job.device)) as events:
            *_, end = events
        assert isinstance(end, TrainingFinished | TrainingStopped)
        return end

    def _facts(self) -> dict[str, Any]:
        run = self.job.run
        facts = {"key": run.key, "seed": run.seed, "cells": run.cells, "recipe": run.recipe.to_values()}
        return facts | {"machine": describe_machine(self.device, 1)}

    def _alive(self) -> None:
        if self.stop.signal is not None:
            raise _Asked
