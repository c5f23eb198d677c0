"""Who does the runs: this process, or several others at a time."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from avfeat.errors import AvfeatError
from avfeat.stop import StopRequest, hold
from avfeat.training.study.execute import Ending, Job, execute

_PAUSE = 0.2


class WorkerPool(Protocol):
    """Takes jobs, and says which have ended; a context manager.

    Attributes:
        signal: that has asked to stop, or 0; nothing is to be begun afterwards.
    """

    signal: int

    def __enter__(self) -> WorkerPool: ...

    def __exit__(self, *error: object) -> None: ...

    def room(self) -> Iterator[tuple[Job, Ending]]:
        """Wait until someone is free; yields the jobs that end before."""
        ...

    def give(self, job: Job) -> Iterator[tuple[Job, Ending]]:
        """Begin ``job``, after ``room``; yields it if it has ended by then."""
        ...

    def finish(self) -> Iterator[tuple[Job, Ending]]:
        """Wait for the jobs that go on; yields them."""
        ...


def make_pool(jobs: int) -> WorkerPool:
    """This process for one job at a time, others for several."""
    return InProcessPool() if jobs == 1 else ProcessPool(jobs)


class InProcessPool:
    """This process."""

    def __init__(self) -> None:
        self.signal = 0

    def __enter__(self) -> InProcessPool:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing goes on by itself."""

    def room(self) -> Iterator[tuple[Job, Ending]]:
        """Nothing goes on by itself."""
        yield from ()

    def give(self, job: Job) -> Iterator[tuple[Job, Ending]]:
        """Do it."""
        ending = execute(job)
        self.signal = ending.signal
        yield job, ending

    def finish(self) -> Iterator[tuple[Job, Ending]]:
        """Everything given was done at once."""
        yield from ()


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    job: Job | None = None


@dataclass
class ProcessPool:
    """Spawned processes, each with one job at a time; they live as long as there is work.

    Attributes:
        count: how many.
        signal: that has asked to stop.
    """

    count: int
    signal: int = 0
    _members: list[_Worker] = field(default_factory=list)

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, *error: object) -> None:
        """Members without work leave; the others save first."""
        for member in self._members:
            member.connection.close()
            if member.job is not None:
                member.process.terminate()
        for member in self._members:
            member.process.join()

    def room(self) -> Iterator[tuple[Job, Ending]]:
        """Wait for a free member; none is waited for where one more can be begun."""
        while not self.signal and len(self._busy()) == self.count:
            yield from self._collect()

    def give(self, job: Job) -> Iterator[tuple[Job, Ending]]:
        """Send it to a free member, or begin one."""
        free = next((member for member in self._members if member.job is None), None)
        if free is None:
            free = _begun()
            self._members.append(free)
        free.job = job
        free.connection.send(job)
        yield from ()

    def finish(self) -> Iterator[tuple[Job, Ending]]:
        """Wait for all."""
        while self._busy():
            yield from self._collect()

    def _busy(self) -> list[_Worker]:
        return [member for member in self._members if member.job is not None]

    def _collect(self) -> Iterator[tuple[Job, Ending]]:
        busy = self._busy()
        with StopRequest() as stop:
            ready: list[object] = []
            while not ready:
                ready = list(wait([member.connection for member in busy], _PAUSE))
                if stop.signal is not None and not self.signal:
                    self.signal = stop.signal
                    for member in busy:
                        member.process.terminate()
        for member in busy:
            if member.connection in ready:
                yield self._receive(member)

    def _receive(self, member: _Worker) -> tuple[Job, Ending]:
        job, member.job = member.job, None
        assert job is not None
        try:
            answer = member.connection.recv()
        except (EOFError, OSError):
            member.process.join()
            if self.signal:
                # It had not begun to train, or was at its features: nothing of it is lost.
                return job, Ending("stopped", self.signal)
            raise AvfeatError(
                f"{job.folder}: its process ended with status {member.process.exitcode}; was it out of memory? "
                "Re-run to resume, with fewer --jobs."
            ) from None
        if isinstance(answer, str):
            raise AvfeatError(answer)
        assert isinstance(answer, Ending)
        return job, answer


def _begun() -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,))
    process.start()
    there.close()
    return _Worker(process, here)


def _serve(connection: Connection) -> None:
    """Do jobs until the other side hangs up."""
    # A terminal's Ctrl-C goes to all processes at once; the first one passes it on as SIGTERM.
    hold(signal.SIGINT)
    while True:
        try:
            job: Job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Ending | str = execute(job)
        except AvfeatError as error:
            answer = str(error)
        try:
            connection.send(answer)
        except OSError:
            return
