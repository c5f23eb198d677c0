"""Work on many things at a time, in threads that a stop ends."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from avfeat.stop import SLICE, WORKER

T = TypeVar("T")
R = TypeVar("R")


def keep_order(function: Callable[[T], R], items: Iterable[T], workers: int, stop: threading.Event) -> Iterator[R]:
    """Map on threads, in order, with a bounded number of results ahead of the consumer.

    Closing it (an error, Ctrl-C) sets ``stop``, so that nobody waits for hours of video.
    """
    pending: deque[Future[R]] = deque()
    waiting = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix=WORKER) as pool:
        try:
            for item in itertools.islice(waiting, 2 * workers):
                pending.append(pool.submit(function, item))
            while pending:
                while not wait([pending[0]], SLICE).done:
                    pass
                result = pending.popleft().result()
                for item in itertools.islice(waiting, 1):
                    pending.append(pool.submit(function, item))
                yield result
        finally:
            stop.set()
            for future in pending:
                future.cancel()
