"""The command line as a process of its own, to send signals to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def begun(
    *words: object, cwd: Path, until: Callable[[], Any], stdin: int | None = None, **environment: str
) -> subprocess.Popen[str]:
    """Start ``avfeat`` with these words, and wait until something is true."""
    command = [sys.executable, "-m", "avfeat", *map(str, words)]
    # A background shell may have this process ignore SIGINT, and its children with it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **environment}, stdin=stdin, stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, before)
    end = time.monotonic() + 120
    while not until():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise AssertionError(process.communicate()[1])
        time.sleep(0.005)
    return process
