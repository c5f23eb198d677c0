"""Which of the processes that ``torchrun`` has started speaks."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from avfeat.errors import ArgumentError, StoppedError
from avfeat.stop import ignore


def leads() -> bool:
    """Whether this process is the one that speaks, of those that ``torchrun`` has started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def errors_once() -> Iterator[None]:
    """Of the processes of one machine that fail alike, only the first to fail says why; all end with its status.

    It need not be the leading one: an error that another process has alone is said there. With ``AVFEAT_DEBUG=1``
    all speak.

    Raises:
        typer.Exit: in place of an error that another process has raised.
    """
    try:
        yield
    except (StoppedError, typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if os.environ.get("AVFEAT_DEBUG") != "1" and _said(f"{type(error).__name__}: {error}"):
            raise typer.Exit(2 if isinstance(error, ArgumentError) else 1) from error
        raise


def _said(sentence: str) -> bool:
    """Whether another process has said it; if not, it is this one's to say."""
    folder = _common_folder()
    if folder is None:
        return False
    # torchrun ends the others as soon as one has left: not this one before it has spoken.
    ignore(signal.SIGTERM)
    digest = hashlib.blake2b(sentence.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
    try:
        (folder / f"avfeat-{digest}.said").touch(exist_ok=False)
    except FileExistsError:
        return True
    except OSError:
        # Rather twice than not at all.
        return False
    return False


def _common_folder() -> Path | None:
    """The folder that ``torchrun`` gives this start of its processes on this machine, with one below for each."""
    file = Path(os.environ.get("TORCHELASTIC_ERROR_FILE", ""))
    own = file.parent
    return own.parent if own.name and own.name == os.environ.get("LOCAL_RANK") else None
