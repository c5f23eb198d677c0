"""The command line: options and printing. What commands do lives in plain modules beside this folder."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TextIO

from avfeat.version import __version__


def main() -> None:
    """Run the command line and exit: 0 all done, 1 an input or the work failed, 2 wrong usage."""
    _open_what_is_closed()
    if sys.argv[1:] == ["--version"]:
        # Answered before anything heavy is imported.
        print(f"avfeat {__version__}")
        return
    try:
        _import_app()()
    except KeyboardInterrupt:
        # Between the two.
        _leave(signal.SIGINT, None)


def _import_app() -> Callable[[], None]:
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ours = ours and threading.current_thread() is threading.main_thread()
    if ours:
        # An exception would come out of the middle of an import, or be lost in it.
        signal.signal(signal.SIGINT, _leave)
    try:
        from avfeat.cli.app import run
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    return run


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted; nothing was begun.\n")
    os._exit(128 + number)


def _open_what_is_closed() -> None:
    """Closed standard streams lead nowhere: else the next file that is opened takes their number and text."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
