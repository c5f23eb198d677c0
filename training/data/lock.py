"""One builder of a cache at a time, by a lock that the system takes back when its holder dies."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from avfeat.errors import OutputError
from avfeat.training.data.settings import CacheError
from avfeat.writers.atomic import PREFIX

NAME = f"{PREFIX}lock"
_PAUSE = 0.2


@contextmanager
def building(cache: Path, wait: bool = False) -> Iterator[None]:
    """Be the only process that builds ``cache``.

    Args:
        cache: the folder; made if it is not there.
        wait: wait for a process that builds it now, instead of raising.

    Raises:
        CacheError: another process builds it now.
        OutputError: ``cache`` is a file, or the folder cannot be made or written to.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        file = (cache / NAME).open("a+b")
    except FileExistsError as error:
        raise OutputError(f"{cache}: is a file; CACHE must be a folder, new or with a cache in it.") from error
    except OSError as error:
        raise OutputError(f"{cache}: cannot be written ({error.strerror}).") from error
    with file:
        while not _taken(file):
            if getattr(multiprocessing.current_process(), "_inheriting", False):
                # A worker that runs the main script again, which then waits for its own parent.
                raise CacheError("A script must do its work under: if __name__ == '__main__'.")
            if not wait:
                raise CacheError(f"{cache}: another process is building this cache; wait for it or choose another.")
            time.sleep(_PAUSE)
        # Closing the file gives the lock back, and so does the end of the process, however it ends.
        yield


def _taken(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
