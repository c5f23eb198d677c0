"""File objects for PyAV, and how Ctrl-C and SIGTERM come out of what FFmpeg has asked for.

PyAV carries an ``Exception`` from a read through FFmpeg; a ``KeyboardInterrupt`` or ``SystemExit`` it prints and
forgets. So in a read they travel as a ``StoppedReadError`` to ``delivered``, where they are themselves again; what
was lost all the same, ``avfeat.stop`` still knows.
"""

from __future__ import annotations

import errno
import io
import os
import select
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import IO, TypeVar

from avfeat.errors import AvfeatError
from avfeat.stop import SLICE, asks, raise_if_stopped

T = TypeVar("T")


class StoppedReadError(Exception):
    """A read was stopped by ``cause``."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


class _GuardedReader:
    """A file object that can be stopped for good: FFmpeg may try again after an error, and then finds the end."""

    def __init__(self, file: IO[bytes], check: Callable[[], None] | None = None) -> None:
        """Read ``file``; ``check`` raises what ends the work, ``raise_if_stopped`` if none."""
        self._stopped = False
        self._check = check or raise_if_stopped
        # FFmpeg knows some formats by the name alone.
        if isinstance(name := getattr(file, "name", None), str | os.PathLike):
            self.name = os.fspath(name)

    @asks
    def _guard(self, work: Callable[[], T], stopped: T) -> T:
        """What ``work`` gives; ``stopped`` after a stop."""
        if self._stopped:
            return stopped
        try:
            self._check()
            return work()
        except BaseException as stop:
            if isinstance(stop, OSError | AvfeatError):
                raise
            if isinstance(stop, Exception) and not isinstance(stop, CancelledError):
                # Whatever a file object of the caller's raises, it cannot be read.
                raise OSError(errno.EIO, str(stop) or type(stop).__name__) from stop
            self._stopped = True
            raise StoppedReadError(stop) from stop


class SeekableReader(_GuardedReader):
    """A file object that can seek."""

    def __init__(self, file: IO[bytes], check: Callable[[], None] | None = None) -> None:
        super().__init__(file, check)
        self._file = file

    @asks
    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        return self._guard(lambda: _as_bytes(self._file.read(size)), b"")

    @asks
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As a file's."""
        return self._guard(lambda: self._file.seek(offset, whence), 0)

    @asks
    def tell(self) -> int:
        """As a file's."""
        return self._guard(self._file.tell, 0)


class ForwardReader(_GuardedReader):
    """A file object that can only be read: a part at a time, as it comes in."""

    def __init__(self, file: IO[bytes], check: Callable[[], None] | None = None) -> None:
        super().__init__(file, check)
        self._head = b""
        # A buffered pipe may have a part at hand: live input must not wait for a full buffer.
        self._rest: Callable[[int], bytes] = getattr(file, "read1", None) or file.read
        self._waiting = None
        # Others may have a part at hand that the system knows nothing of.
        if type(file) is io.FileIO and hasattr(select, "poll"):
            self._waiting = select.poll()
            self._waiting.register(file, select.POLLIN)

    @property
    def head(self) -> bytes:
        """What was read ahead and not yet given out."""
        return self._head

    def unread(self, head: bytes) -> None:
        """Have these bytes read before all others."""
        self._head = head + self._head

    @asks
    def read(self, size: int = -1) -> bytes:
        """As a file's, but it may give less than was asked for."""
        return self._guard(lambda: self._next(size), b"")

    def _next(self, size: int) -> bytes:
        if self._head:
            taken = self._head if size < 0 else self._head[:size]
            self._head = self._head[len(taken) :]
            return taken
        # In slices, also as no thread but the main one hears a signal at all.
        while self._waiting is not None and not self._waiting.poll(1000 * SLICE):
            self._check()
        return _as_bytes(self._rest(size))


def _as_bytes(data: object) -> bytes:
    """What a file object gave; nothing at hand is nothing."""
    if data is None:
        return b""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise OSError(errno.EIO, f"its read() gives {type(data).__name__}, not bytes")
    return bytes(data)


@contextmanager
def deliver_stop() -> Iterator[None]:
    """What stopped a read in this block is raised at its end."""
    try:
        yield
    except StoppedReadError as stopped:
        raise stopped.cause from None
    except Exception:
        # What a lost stop has led to.
        raise_if_stopped()
        raise
    raise_if_stopped()
