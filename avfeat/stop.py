"""How work is stopped: all that avfeat does with SIGINT (Ctrl-C) and SIGTERM.

The command line raises a signal where it comes (``raised``); training notes it and ends its step first
(``StopRequest``); worker processes leave it to the process that has started them (``ignore``, ``held``).

What is raised can be lost: PyAV prints and forgets a ``KeyboardInterrupt`` in a read, and some that come while its
own code runs it loses without a word. So a stop stays known until the end of ``raised``, and whoever waits or works
for long asks ``raise_if_stopped``. Threads of a pool, which hear no signal, end with the event of ``stopped_by``.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SLICE = 0.3
"""Seconds that anybody waits at a time: a signal just before a wait begins would be heard only after it."""
WORKER = "avfeat"
"""What the names of threads begin with that end by ``stopped_by``."""
_PATIENCE = 5.0
"""Seconds that a stopped worker may take."""

_asked: list[BaseException] = []
_asking: set[CodeType] = set()
_thread = threading.local()


class Terminated(SystemExit):
    """SIGTERM came."""


def asks(function: F) -> F:
    """Mark a function that calls ``raise_if_stopped`` itself, as its caller loses what a signal raises in it.

    Python looks for signals where a function begins, before its first ``try``: what is raised there goes straight
    to the caller. So in these functions a signal is only noted.
    """
    _asking.add(function.__code__)
    return function


def stop_with(stop: BaseException, frame: FrameType | None) -> None:
    """For signal handlers: note ``stop``, and raise it, but in a function that ``asks``.

    Args:
        stop: a ``KeyboardInterrupt`` or ``SystemExit``.
        frame: where the signal came, as a handler is told.
    """
    _asked.append(stop)
    if frame is None or frame.f_code not in _asking:
        raise stop


def raise_if_stopped() -> None:
    """Raise what ``stop_with`` was told of, however often, until it is forgotten; see ``stopped_by``, too."""
    for stop in _asked[-1:]:
        raise stop
    event: threading.Event | None = getattr(_thread, "event", None)
    if event is not None and event.is_set():
        raise CancelledError


def forget_stop() -> None:
    """What was stopped is over."""
    _asked.clear()


@contextmanager
def stopped_by(event: threading.Event) -> Iterator[None]:
    """In this block, and thread, ``raise_if_stopped`` raises a ``CancelledError`` once ``event`` is set."""
    _thread.event = event
    try:
        yield
    finally:
        del _thread.event


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that it can clean up; a second one ends the process at once.

    Where one of them is ignored or somebody else's, it stays so.

    Raises:
        KeyboardInterrupt: SIGINT came.
        Terminated: SIGTERM came.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: default for number, default in _DEFAULTS.items() if signal.getsignal(number) is default}
    others = set(threading.enumerate())
    for number in before:
        signal.signal(number, _HANDLERS[number])
    try:
        yield
    except (SystemExit, Exception):
        # A stop that was lost on the way, or made another error of: an extension module that is imported does that.
        raise_if_stopped()
        raise
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _HANDLERS[number]:
                signal.signal(number, handler)
        if before:
            _end(others)


def _interrupt(number: int, frame: FrameType | None) -> None:
    stop_with(KeyboardInterrupt(), frame)


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    stop_with(Terminated(128 + number), frame)


_HANDLERS = {signal.SIGINT: _interrupt, signal.SIGTERM: _terminate}
_DEFAULTS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


def _end(others: set[threading.Thread]) -> None:
    """The stop is over, for all threads but ``others``.

    A worker that was being started when the signal came is in no pool's list: it has to hear of it, too.
    """
    try:
        for thread in set(threading.enumerate()) - others if _asked else ():
            if thread.name.startswith(WORKER):
                thread.join(_PATIENCE)
    finally:
        forget_stop()


class StopRequest:
    """While it is entered, SIGINT and SIGTERM are noted; a second one acts as it would have.

    In threads other than the main one, which get no signals, it notes nothing.

    Attributes:
        signal: that has come, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())


def ignore(*numbers: signal.Signals) -> None:
    """These signals are for another process to act on: for workers, the one that has started them.

    Held ones, too: they are let go after they are ignored.
    """
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def hold(*numbers: signal.Signals) -> None:
    """For worker processes that have handlers of their own: these signals do not come at all."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


@contextmanager
def held() -> Iterator[None]:
    """SIGINT and SIGTERM for this thread come after the block; processes that are started in it hold them on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
