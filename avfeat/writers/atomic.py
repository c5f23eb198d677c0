"""Files that appear atomically."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from avfeat.errors import OutputError

PREFIX = ".avfeat-"
"""Temporary names begin with it: hidden, and never taken for a result."""


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
    """A binary file that takes its name when all of it is written, and leaves nothing when that fails.

    ``Nothing`` raised in the block leaves nothing either, and goes no further.

    Raises:
        OutputError: the folder cannot be made or written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = path.with_name(f"{PREFIX}{secrets.token_hex(8)}.part")
        file = staging.open("x+b")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}).") from error
    try:
        with file:
            yield file
        staging.replace(path)
    except Nothing:
        return
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        staging.unlink(missing_ok=True)
