"""One process at a time, by a lock of the system: it ends with its holder, however that dies, so none is stale."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from avfeat.errors import BusyError, OutputError

_PAUSE = 0.05


@contextmanager
def hold_lock(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Be the only one in such a block with this lock file, among all processes and threads.

    Args:
        path: of the lock file; made if it is not there, and removed at the end where the system can.
        patience: seconds to wait for another holder.

    Raises:
        BusyError: somebody else held the lock all the time.
        OutputError: the file cannot be made, or not be locked.
    """
    with _acquire(path, patience) as file:
        try:
            yield
        finally:
            _give_back(file, path)


def _acquire(path: Path, patience: float) -> IO[bytes]:
    """The lock file, open and locked."""
    end = time.monotonic() + patience
    while (file := _try_to_take(path)) is None:
        if time.monotonic() >= end:
            raise BusyError(
                f"{path.parent}: another process works here; wait until it has ended, and run the command again."
            )
        time.sleep(_PAUSE)
    return file


def _try_to_take(path: Path) -> IO[bytes] | None:
    """The lock file, open and locked; None if somebody else holds it."""
    while True:
        with ExitStack() as stack:
            file = stack.enter_context(_open(path))
            if not _lock(file, path):
                return None
            if _is_named(file, path):
                stack.pop_all()
                return file
            # Its holder has removed it since it was opened: whoever comes next locks another file.


def _open(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+b")
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be written ({error.strerror}).") from error


def _is_named(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes], path: Path) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _give_back(file: IO[bytes], path: Path) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes], path: Path) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be locked ({error.strerror}); choose a folder on a file system that has locks."
            ) from error
        return True

    def _give_back(file: IO[bytes], path: Path) -> None:
        # Still locked: nobody else's file is removed. A child of fork would hold what is only closed here.
        path.unlink(missing_ok=True)
        fcntl.flock(file, fcntl.LOCK_UN)
