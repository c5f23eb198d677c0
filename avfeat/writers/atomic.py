"""Files that appear whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from avfeat.errors import OutputError

PREFIX = ".avfeat-"
"""Temporary names begin with it: hidden, and never taken for a result."""


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its name when all of it is written, and leaves nothing when that fails.

    Raises:
        OutputError: the folder cannot be made or written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = path.with_name(f"{PREFIX}{secrets.token_hex(8)}{path.suffix}")
        file = staging.open("x+b")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}).") from error
    try:
        with file:
            yield file
        staging.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        staging.unlink(missing_ok=True)
