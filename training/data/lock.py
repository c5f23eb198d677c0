"""One builder of a cache at a time."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from avfeat.errors import BusyError, OutputError
from avfeat.lock import hold_lock
from avfeat.training.data.settings import CacheError
from avfeat.writers.atomic import PREFIX

NAME = f"{PREFIX}lock"


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
    if cache.exists() and not cache.is_dir():
        raise OutputError(f"{cache}: is a file; CACHE must be a folder, new or with a cache in it.")
    # A worker that runs the main script again would wait for its own parent.
    again = getattr(multiprocessing.current_process(), "_inheriting", False)
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(cache / NAME, math.inf if wait and not again else 0.0))
        except BusyError as error:
            if again:
                raise CacheError("A script must do its work under: if __name__ == '__main__'.") from error
            raise CacheError(
                f"{cache}: another process is building this cache; wait for it or choose another."
            ) from error
        yield
