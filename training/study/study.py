"""The study: runs that are left are done while the budget lasts, and everything is written down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from avfeat.errors import OutputError
from avfeat.extras import check_eval
from avfeat.training.data import CacheSettings
from avfeat.training.data import Event as Preparation
from avfeat.training.provenance import describe_machine
from avfeat.training.study import load
from avfeat.training.study.budget import Estimator
from avfeat.training.study.execute import Ending, Job
from avfeat.training.study.figures import draw_figures, drawn
from avfeat.training.study.grid import Run, StudyGrid, lay_out, shard
from avfeat.training.study.load import Loaded
from avfeat.training.study.material import Material, Part
from avfeat.training.study.page import write_page
from avfeat.training.study.results import RUNS, RunOutcome, RunResult, clear, read, read_all
from avfeat.training.study.summary import summarise
from avfeat.training.study.tables import as_json, write_tables
from avfeat.training.study.worker_pool import WorkerPool, make_pool
from avfeat.training.trainer import Device
from avfeat.training.trainer.process import join_processes
from avfeat.writers.atomic import atomic

_DATA = "data.json"
_STUDY = "study.json"
Follow = Callable[[Iterable[Preparation]], object]


@dataclass(frozen=True)
class Options:
    """How much of a study is done, and where.

    Attributes:
        budget: seconds, or None for no end.
        seeds: of every cell, or None for the plan's.
        part: every n-th run from the i-th on.
        only: tables; none for all.
        device: where to compute.
        jobs: runs at a time.
        max_failed: the share of clips that may be unreadable.
    """

    budget: float | None = None
    seeds: int | None = None
    part: tuple[int, int] = (0, 1)
    only: tuple[str, ...] = ()
    device: Device = "auto"
    jobs: int = 1
    max_failed: float = 0.1


@dataclass(frozen=True)
class Planned:
    """Before the first run: of ``runs``, ``done`` are finished or failed; the others' seconds, one by one."""

    runs: tuple[Run, ...]
    outcomes: Mapping[str, RunOutcome]
    seconds: Mapping[str, float]

    @property
    def left(self) -> list[Run]:
        """Those that are to be done."""
        return [run for run in self.runs if run.key not in self.outcomes]


@dataclass(frozen=True)
class RunBegan:
    """A run is given to someone.

    Attributes:
        run: that begins.
        seconds: that it takes, about.
    """

    run: Run
    seconds: float


@dataclass(frozen=True)
class RunEnded:
    """A run is over.

    Attributes:
        run: that has ended.
        outcome: its result, or why it has none.
    """

    run: Run
    outcome: RunOutcome


@dataclass(frozen=True)
class RunBusy:
    """Another process is at ``run``."""

    run: Run


@dataclass(frozen=True)
class StudyEnded:
    """Nothing more is done: all runs were begun, the next one does not fit (``short``), or a signal came.

    Attributes:
        left: runs that have no outcome, in order.
        seconds: that they would take, added up.
        short: whether the budget was too short for the next one.
        signal: that has asked to stop, or 0.
    """

    left: tuple[Run, ...]
    seconds: float
    short: bool
    signal: int


Event = Planned | RunBegan | RunEnded | RunBusy | StudyEnded


@dataclass(frozen=True)
class Study:
    """A plan, its data, and the folder that everything about it is written to."""

    loaded: Loaded
    out: Path
    options: Options

    def __post_init__(self) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise OutputError(f"{self.out}: is a file; OUT must be a folder, new or with a study in it.")
        check_eval()

    @cached_property
    def material(self) -> Material:
        """The data."""
        return Material(self.loaded.plan.data)

    def grid(self, known: bool = False) -> StudyGrid:
        """Cells and runs.

        Args:
            known: the data need not be there, if the study was run on it before.

        Raises:
            AvfeatError: data that is not there, or a plan whose cells no training can have.
        """
        options, source = self.options, self.loaded.plan.data
        identity = (known and _identity(self.out / _DATA, source)) or self.material.identity
        return lay_out(self.loaded, identity, only=options.only, seeds=options.seeds)

    def planned(self) -> Planned:
        """The pending runs, and how long they take."""
        return self._make_plan(self.grid(), self._estimator())

    def run(self, follow: Follow | None = None) -> Generator[Event, None, None]:
        """Do what is left; yields what happens, at the end ``StudyEnded``.

        Args:
            follow: called with what happens while data is prepared, to be iterated to its end.

        Raises:
            AvfeatError: data, device or folder that cannot be used.
        """
        begun = time.monotonic()
        grid, estimator = self.grid(), self._estimator()
        load.write_plan(self.loaded, self.out / load.NAME)
        _write(self.out / _DATA, {"source": self.material.source, "identity": self.material.identity})
        planned = self._make_plan(grid, estimator)
        yield planned
        with make_pool(self.options.jobs) as pool:
            yield from _StudyLoop(self, grid, planned, estimator, pool, follow, begun).go()

    def publish(self, grid: StudyGrid, draw: bool = True) -> dict[str, Any]:
        """Write tables and page from all results that are there; gives what ``study.json`` holds.

        Args:
            grid: whose.
            draw: draw the figures, too.
        """
        outcomes = read_all(self.out)
        summary = summarise(grid, outcomes)
        write_tables(self.out, summary, outcomes)
        figures = draw_figures(self.out, summary) if draw else drawn(self.out)
        write_page(self.out, summary, outcomes, figures)
        values = as_json(summary, outcomes)
        _write(self.out / _STUDY, values)
        return values

    def _make_plan(self, grid: StudyGrid, estimator: Estimator) -> Planned:
        outcomes = read_all(self.out)
        machine = self.machine(estimator)
        for outcome in outcomes.values():
            if isinstance(outcome, RunResult):
                estimator.learn(outcome, machine)
        runs = shard(grid.runs, self.options.part)
        seconds = {run.key: estimator.seconds(run.recipe) for run in runs if run.key not in outcomes}
        return Planned(runs, outcomes, seconds)

    def _estimator(self) -> Estimator:
        with join_processes(self.options.device) as process:
            device = process.device
        threads = max(1, torch.get_num_threads() // self.options.jobs)
        return Estimator(device, threads, self.material.clips, self.loaded.plan.windows)

    @staticmethod
    def machine(estimator: Estimator) -> dict[str, Any]:
        """This one, with the threads that a run has."""
        return describe_machine(estimator.device, 1) | {"threads": estimator.threads}


@dataclass
class _StudyLoop:
    study: Study
    grid: StudyGrid
    planned: Planned
    estimator: Estimator
    pool: WorkerPool
    follow: Follow | None
    begun: float
    _prepared: dict[CacheSettings, dict[Part, Path]] = field(default_factory=dict)
    _preparing: float = 0.0

    def go(self) -> Iterator[Event]:
        for key in self.planned.outcomes:
            # A process may have died between its last two deeds.
            clear(self.study.out / RUNS / key)
        short = False
        for run in self.planned.left:
            yield from self._all_after(self.pool.room())
            seconds = self.estimator.seconds(run.recipe)
            if self.pool.signal or (short := not self._fits(run, seconds)):
                break
            job = self._job(run, self._caches(run))
            yield RunBegan(run, seconds)
            yield from self._all_after(self.pool.give(job))
        yield from self._all_after(self.pool.finish())
        yield self._over(short)

    def _all_after(self, endings: Iterable[tuple[Job, Ending]]) -> Iterator[Event]:
        for job, ending in endings:
            yield from self._after(job.run, ending)

    def _fits(self, run: Run, seconds: float) -> bool:
        """Whether the run is over in time; data that is not prepared yet takes as long as other data did."""
        budget = self.study.options.budget
        if run.recipe.cache not in self._prepared:
            seconds += self._preparing
        return budget is None or time.monotonic() - self.begun + seconds <= budget

    def _caches(self, run: Run) -> dict[Part, Path]:
        settings = run.recipe.cache
        if settings not in self._prepared:
            begun = time.monotonic()
            self._prepared[settings] = self.study.material.prepare(
                settings, self.study.options.max_failed, self.follow
            )
            self._preparing = max(self._preparing, time.monotonic() - begun)
        return self._prepared[settings]

    def _job(self, run: Run, caches: dict[Part, Path]) -> Job:
        plan, threads = self.study.loaded.plan, self.estimator.threads
        return Job(
            run=run,
            folder=self.study.out / RUNS / run.key,
            caches=caches,
            source=self.study.material.address("train"),
            windows=plan.windows,
            device=self.study.options.device,
            threads=threads,
            workers=min(8, threads - 1),
        )

    def _after(self, run: Run, ending: Ending) -> Iterator[Event]:
        if ending.how == "busy":
            yield RunBusy(run)
        if ending.how != "over":
            return
        outcome = read(self.study.out / RUNS / run.key)
        assert outcome is not None
        if isinstance(outcome, RunResult):
            self.estimator.learn(outcome, self.study.machine(self.estimator))
        self.study.publish(self.grid, draw=False)
        yield RunEnded(run, outcome)

    def _over(self, short: bool) -> StudyEnded:
        outcomes = read_all(self.study.out)
        left = tuple(run for run in self.planned.runs if run.key not in outcomes)
        return StudyEnded(left, sum(self.estimator.seconds(run.recipe) for run in left), short, self.pool.signal)


def _identity(path: Path, source: str) -> str | None:
    """Of the data that a study was run on before; None if it was not, or on other data."""
    try:
        facts = json.loads(path.read_bytes())
        return str(facts["identity"]) if facts["source"] == source else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path}: is not what a study writes; delete it.") from error


def _write(path: Path, values: Any) -> None:
    with atomic(path) as file:
        file.write((json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())
