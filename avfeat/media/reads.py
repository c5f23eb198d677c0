"""File objects for PyAV, and how Ctrl-C and SIGTERM come out of what FFmpeg has asked for.

PyAV carries an ``Exception`` from a read through FFmpeg; a ``KeyboardInterrupt`` or ``SystemExit`` it prints and
forgets, and some that come while its own code runs it loses without a word. So in a read they travel as a
``StoppedReadError`` to ``delivered``, where they are themselves again, and a signal that ``stop_with`` was told of
stays known until ``forget_stop``: the next read or packet raises it, wherever it was lost.
"""

from __future__ import annotations

import io
import select
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

_SLICE = 500
"""Milliseconds."""
_asked: list[BaseException] = []


class StoppedReadError(Exception):
    """A read was stopped by ``cause``."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


class _Reader:
    """A file object whose reads can be stopped, once and for all: FFmpeg may try again after an error."""

    def __init__(self) -> None:
        self._cause: BaseException | None = None

    def _begin(self) -> None:
        raise_if_stopped()
        if self._cause is not None:
            raise StoppedReadError(self._cause) from self._cause

    def _stopped(self, cause: BaseException) -> StoppedReadError:
        self._cause = cause
        return StoppedReadError(cause)


class Seekable(_Reader):
    """A file object that can seek."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        try:
            self._begin()
            return self._file.read(size)
        except (KeyboardInterrupt, SystemExit) as stop:
            raise self._stopped(stop) from stop


class Forward(_Reader):
    """A file object that can only be read: a part at a time, as it comes in."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._head = b""
        # A buffered pipe may have a part at hand: live input must not wait for a full buffer.
        self._read = getattr(file, "read1", file.read)
        self._waiting = None
        if isinstance(file, io.FileIO) and hasattr(select, "poll"):
            self._waiting = select.poll()
            self._waiting.register(file, select.POLLIN)

    def unread(self, head: bytes) -> None:
        """Have these bytes read before all others."""
        self._head = head + self._head

    def read(self, size: int = -1) -> bytes:
        """As a file's, but it may give less than was asked for."""
        try:
            self._begin()
            if self._head:
                taken = self._head if size < 0 else self._head[:size]
                self._head = self._head[len(taken) :]
                return taken
            # A signal just before the read begins to wait would be heard only after it: it waits in slices.
            while self._waiting is not None and not self._waiting.poll(_SLICE):
                pass
            rest: bytes = self._read(size)
            return rest
        except (KeyboardInterrupt, SystemExit) as stop:
            raise self._stopped(stop) from stop


@contextmanager
def delivered() -> Iterator[None]:
    """What stopped a read in this block is raised at its end."""
    try:
        yield
    except StoppedReadError as stopped:
        raise stopped.cause from None
    raise_if_stopped()


def stop_with(stop: BaseException, frame: FrameType | None) -> None:
    """For signal handlers: raise ``stop``, or leave it to a read that is about to begin.

    Python looks for signals where a function begins, before its first ``try``: raised there, in a read that FFmpeg
    has asked for, it would be printed and forgotten.

    Args:
        stop: a ``KeyboardInterrupt`` or ``SystemExit``.
        frame: where the signal came, as a handler is told.
    """
    _asked.append(stop)
    reads = (Seekable.read.__code__, Forward.read.__code__)
    if frame is None or frame.f_code not in reads or frame.f_lineno != frame.f_code.co_firstlineno:
        raise stop


def raise_if_stopped() -> None:
    """Raise what ``stop_with`` was told of, however often, until it is forgotten."""
    if _asked:
        raise _asked[-1]


def forget_stop() -> None:
    """What was stopped is over."""
    _asked.clear()
