"""Spawned worker processes that do independent tasks, survive one another, and never outlive their parent."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from avfeat.stop import ignore
from avfeat.training.data.settings import CacheError

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2
"""Tasks under way for each worker: one at work, one at hand."""


class Crashed:
    """In place of a result: the process that did the task died of it."""


def run_all(
    function: Callable[[T], R], tasks: Iterable[T], workers: int
) -> Generator[tuple[T, R | Crashed], None, None]:
    """Do ``function`` on all tasks; yield each with its result, as they become ready.

    A task that kills its process (a decoder that crashes, memory that runs out) gives ``Crashed``; those that were
    under way beside it are done again, one by one. Closing the generator kills the workers at once.

    Args:
        function: a module's function.
        tasks: read as workers become free.
        workers: processes, or 0 for this one.
    """
    if not workers:
        for task in tasks:
            yield task, function(task)
        return
    source = iter(tasks)
    suspects: list[T] = []
    while True:
        with closing(_Workers(function, workers)) as pool:
            yield from pool.do(source)
            suspects = pool.lost
        if not suspects:
            return
        for task in suspects:
            yield from _alone(function, task)


def _alone(function: Callable[[T], R], task: T) -> Iterator[tuple[T, R | Crashed]]:
    """Do a task in a process of its own, to see whether it was the one that killed a process."""
    with closing(_Workers(function, 1)) as pool:
        pool.check()
        yield from pool.do(iter([task]))
        for lost in pool.lost:
            yield lost, Crashed()


class _Workers(Generic[T, R]):
    """A pool of processes up to the first that dies; ``lost`` are the tasks that were under way then."""

    def __init__(self, function: Callable[[T], R], workers: int) -> None:
        self._function = function
        self._limit = _AHEAD * workers
        context = multiprocessing.get_context("spawn")
        # No process but this one has the writing end: when it closes it, or dies, the workers read the end.
        self._reader, self._writer = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(workers, context, _begin, (self._reader,))
        self._pending: dict[Future[R], T] = {}
        self.lost: list[T] = []

    def do(self, tasks: Iterator[T]) -> Iterator[tuple[T, R]]:
        """Do tasks until there are no more, or a process has died."""
        try:
            for task in tasks:
                self.lost = [task]
                self._pending[self._executor.submit(self._function, task)] = task
                self.lost = []
                if len(self._pending) >= self._limit:
                    yield from self._collect()
            while self._pending:
                yield from self._collect()
            self._executor.shutdown()
        except BrokenProcessPool:
            self.lost += list(self._pending.values())

    def check(self) -> None:
        """Raise if processes cannot be started here at all."""
        try:
            self._executor.submit(os.getpid).result()
        except BrokenProcessPool as error:
            raise CacheError(
                "Worker processes cannot start; a script must do its work under: if __name__ == '__main__', "
                "or take workers=0."
            ) from error

    def close(self) -> None:
        """Leave no process behind, whatever it is doing."""
        self._writer.close()
        self._executor.shutdown(cancel_futures=True)
        self._reader.close()

    def _collect(self) -> Iterator[tuple[T, R]]:
        """Wait for the next results."""
        done, _ = wait(self._pending, return_when=FIRST_COMPLETED)
        for future in done:
            result = future.result()
            yield self._pending.pop(future), result


def _begin(parent: Connection) -> None:
    """Prepare a worker: it dies with its parent, and leaves Ctrl-C to it."""
    ignore(signal.SIGINT)
    # What is damaged is noted in the index; a warning for each would drown the progress bar.
    logging.getLogger("avfeat").setLevel(logging.ERROR)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: Connection) -> None:
    try:
        parent.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)
