"""The loop around the steps: checkpoints, metrics, probes, and the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avfeat.errors import OutputError
from avfeat.stop import StopRequest
from avfeat.training.checkpoint import LAST, Checkpoint, CheckpointError
from avfeat.training.data import Cache
from avfeat.training.data.loader import Batch
from avfeat.training.provenance import describe_data, describe_machine
from avfeat.training.recipes import Recipe
from avfeat.training.trainer import events
from avfeat.training.trainer.events import Event
from avfeat.training.trainer.journal import RunLogger, write_recipe, write_run
from avfeat.training.trainer.memory import keep_freed_memory
from avfeat.training.trainer.meter import peak_memory
from avfeat.training.trainer.model import StepOutput
from avfeat.training.trainer.probe import Accuracy, KnnProbe
from avfeat.training.trainer.process import Device, join_processes
from avfeat.training.trainer.resume import check_same, check_teacher, same_probe
from avfeat.training.trainer.trainer import Trainer
from avfeat.training.trainer.views import Views
from avfeat.training.trainer.watch import collapse


def train(
    cache: Cache, source: str, run: Path, recipe: Recipe, *, resume: bool = False, device: Device = "auto"
) -> Generator[Event, None, None]:
    """Train as ``recipe`` says, and write ``run``; yields events, last ``TrainingFinished`` or ``TrainingStopped``.

    Under ``torchrun`` every process calls this; the first one writes, and its events are the ones to show.

    Args:
        cache: prepared with ``recipe.cache``.
        source: the data as it was asked for, to be noted.
        run: folder of the checkpoint, the metrics and the resolved recipe.
        recipe: what to do.
        resume: go on from the folder's checkpoint, or begin where it has none. ``steps`` may be more than before:
            rates follow the schedule of the new length from there on.
        device: where to compute.

    Raises:
        CheckpointError: a folder that holds a training already, without ``resume``; or one of another training.
        DivergedError: a loss or gradient is NaN or infinite.
        AvfeatError: data, device or folder that cannot be used.
    """
    before = _checkpoint(run, resume)
    with join_processes(device) as process, StopRequest() as stop:
        if process.device.type == "cpu":
            keep_freed_memory()
        if before is not None:
            check_same(before, recipe, describe_data(source, cache), run)
        probe = _probe(cache, recipe) if process.leads else None
        # Of a training that goes on it is known, unless it was not asked for, or of other clips.
        untrained = probe is not None and (before is None or not same_probe(before, recipe))
        trainer = Trainer(recipe, cache, source, process, published=before is None or untrained)
        if before is not None:
            check_teacher(before, trainer.teacher)
        yield from _TrainingLoop(trainer, run, probe, stop).go(before, untrained)


def _probe(cache: Cache, recipe: Recipe) -> KnnProbe | None:
    """None where it is not asked for, or where no two clips share a label."""
    if not recipe.probe.every:
        return None
    probe = KnnProbe(cache, recipe.encoders, recipe.probe, recipe.seed)
    return probe if probe.useful else None


def _checkpoint(run: Path, resume: bool) -> Checkpoint | None:
    if run.exists() and not run.is_dir():
        raise OutputError(f"{run}: is a file; RUN must be a folder, new or with a training in it.")
    if not (run / LAST).exists():
        return None
    if not resume:
        raise CheckpointError(f"{run}: holds a training already; --resume continues it, or name another folder.")
    return Checkpoint.load(run)


class _TrainingLoop:
    """One start of a run, from the step after its checkpoint to the last, or to a signal."""

    def __init__(self, trainer: Trainer, run: Path, probe: KnnProbe | None, stop: StopRequest) -> None:
        self._trainer, self._run, self._probe, self._stop = trainer, run, probe, stop
        self._recipe, self._process = trainer.recipe, trainer.process
        self._journal: RunLogger | None = None
        self._done = self._first = 0
        self._spent = 0.0
        self._began = time.perf_counter()
        self._random_init: Accuracy | None = None
        self._accuracy: Accuracy | None = None
        self._collapsed: set[str] = set()

    def go(self, before: Checkpoint | None, untrained: bool) -> Iterator[Event]:
        """Begin, or go on from ``before``; ``untrained`` tells to measure what the encoders begin with."""
        if before is not None and before.step >= self._recipe.steps:
            self._load(before)
            yield self._finish()
            return
        took = self._trainer.trial()
        random_init = None
        if self._probe is not None and untrained:
            random_init = self._probe.random_init(self._trainer.model.pair, self._process.device)
        if before is not None:
            self._load(before)
        self._random_init = random_init or self._random_init
        chance = self._probe.chance if self._probe else None
        cost = self._trainer.cost(self._done, took)
        yield events.TrainingStarted(self._done, cost, self._random_init, chance)
        with self._trainer.batches(self._done) as batches:
            if not self._process.leads:
                yield from self._steps(batches)
                return
            self._write_facts()
            with RunLogger(self._run, self._done) as self._journal:
                yield from self._steps(batches)

    def _write_facts(self) -> None:
        write_recipe(self._run, self._recipe)
        machine = describe_machine(self._process.device, self._process.world_size)
        facts = {"step": self._done, "steps": self._recipe.steps, "data": self._trainer.data}
        write_run(self._run, facts | self._trainer.provenance | machine)

    def _steps(self, batches: Iterator[Batch]) -> Iterator[Event]:
        self._began = time.perf_counter()
        while self._done < self._recipe.steps:
            outcome, views = self._trainer.step(self._done, batches)
            self._done += 1
            yield events.StepDone(self._done)
            yield from self._report(outcome, views)
            asked = self._process.any(self._stop.signal is not None)
            if asked or self._due(self._recipe.checkpoint_every):
                self._save()
            if asked and self._done < self._recipe.steps:
                yield events.TrainingStopped(self._done, self._stop.signal or signal.SIGTERM, self._run / LAST)
                return
        yield self._finish()

    def _report(self, outcome: StepOutput, views: Views) -> Iterator[Event]:
        """A line of metrics, if one is due."""
        probing = bool(self._recipe.probe.every) and self._due(self._recipe.probe.every)
        if not probing and not self._due(self._recipe.log_every):
            return
        metrics = self._trainer.metrics(self._done, outcome, views)
        if self._probe is not None and probing:
            self._accuracy = self._probe.measure(self._trainer.model.pair, self._process.device)
            metrics |= _columns("knn", self._accuracy) | _columns("knn_random_init", self._random_init)
        metrics["seconds"] = self._seconds()
        if self._journal is not None:
            self._journal.write(metrics)
        here = self._seconds() - self._spent
        yield events.MetricsLogged(metrics, here / (self._done - self._first) * (self._recipe.steps - self._done))
        if sentence := collapse(metrics, self._collapsed):
            yield events.WarningIssued(sentence)

    def _due(self, every: int) -> bool:
        return self._done % every == 0 or self._done == self._recipe.steps

    def _seconds(self) -> float:
        """That all steps took, in all starts of the run."""
        return self._spent + time.perf_counter() - self._began

    def _save(self) -> None:
        extra: dict[str, Any] = {"seconds": self._seconds()}
        known = {"random_init": self._random_init, "accuracy": self._accuracy}
        extra |= {name: None if one is None else asdict(one) for name, one in known.items()}
        found = self._trainer.checkpoint(self._done, extra)
        if self._process.leads:
            found.save(self._run / LAST)

    def _load(self, before: Checkpoint) -> None:
        self._trainer.load(before)
        self._done = self._first = before.step
        self._spent = before.training["seconds"]
        kept = (before.training[name] for name in ("random_init", "accuracy"))
        self._random_init, self._accuracy = (None if one is None else Accuracy(**one) for one in kept)

    def _finish(self) -> events.TrainingFinished:
        here = self._seconds() - self._spent
        return events.TrainingFinished(
            steps=self._done,
            seconds=self._seconds(),
            accuracy=self._accuracy,
            random_init=self._random_init,
            clips_per_second=(self._done - self._first) * self._recipe.batch_size / here,
            memory=peak_memory(self._process.device),
            path=self._run / LAST,
        )


def _columns(name: str, found: Accuracy | None) -> dict[str, float]:
    """An accuracy as columns of the metrics: ``knn``, ``knn_video``, ``knn_audio``."""
    if found is None:
        return {}
    return {name: found.both, f"{name}_video": found.video, f"{name}_audio": found.audio}
