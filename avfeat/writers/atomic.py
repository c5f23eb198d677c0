"""Files that appear atomically, also when the process is killed or the power fails."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

from avfeat.errors import FullDiskError, OutputError

PREFIX = ".avfeat-"
"""Temporary names begin with it: hidden, and never taken for a result."""

_PART = f"{PREFIX}*.part"
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def encode_line(line: str) -> bytes:
    """A JSON line as bytes; file names that are no UTF-8 become JSON's own escapes, so that nothing is lost."""
    return line.encode("utf-8", "backslashreplace") + b"\n"


def printable(name: str) -> str:
    """A file name that any UTF-8 column can hold."""
    return name.encode("utf-8", "backslashreplace").decode()


class Nothing(Exception):  # noqa: N818
    """There is nothing to write."""


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its name when all of it is on the disk, and leaves nothing when that fails.

    ``Nothing`` raised in the block leaves nothing either, and goes no further. What a killed process leaves is
    removed by ``sweep``.

    Raises:
        FullDiskError: the disk is full.
        OutputError: the folder cannot be made or written to, or no file can have this name.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_name(path)
        staging, file = _staged(path)
        try:
            with file:
                yield file
                file.flush()
                # Else a name may outlive a power cut without its content.
                os.fsync(file.fileno())
            staging.replace(path)
        except Nothing:
            return
        finally:
            staging.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes have left half written in a folder; what somebody writes now stays."""
    for path in folder.glob(_PART):
        # Somebody else's, in use, or gone already: then it is not for us to remove.
        with suppress(OSError):
            _remove_abandoned(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says of writing to ``path``, as an ``OutputError``."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise FullDiskError(
                f"{path}: the disk is full; make room and run the command again: files that are finished are kept."
            ) from error
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}).") from error


def _check_name(path: Path) -> None:
    """Raise, before any work, what taking the name would raise in the end."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            raise IsADirectoryError(errno.EISDIR, "a folder has this name")


def _staged(path: Path) -> tuple[Path, IO[bytes]]:
    """A new file beside ``path``, held for as long as it is open: so others know that it is written."""
    _sweep_once(path.parent)
    while True:
        staging = path.with_name(f"{PREFIX}{secrets.token_hex(8)}.part")
        file = staging.open("x+b")
        _hold(file)
        if staging.exists():
            return staging, file
        # Swept by somebody before it was held.
        file.close()


@lru_cache(maxsize=1024)
def _sweep_once(folder: Path) -> None:
    """Who writes to a folder sweeps it first: once in a process, as listing large folders takes its time."""
    sweep(folder)


if sys.platform == "win32":

    def _hold(file: IO[bytes]) -> bool:
        # The system lets nobody remove an open file.
        return True

    def _remove_abandoned(path: Path) -> None:
        path.unlink()

else:
    import fcntl

    def _hold(file: IO[bytes]) -> bool:
        """Whether nobody else holds the file; it is then held until it is closed, or its process ends."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _remove_abandoned(path: Path) -> None:
        with path.open("rb") as file:
            if _hold(file):
                path.unlink()
