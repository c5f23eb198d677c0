"""Pipes: what comes through them is embedded, and a silent one keeps nobody."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from processes import begun

import avfeat

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="FIFOs are Unix's")


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def test_a_named_pipe_gives_what_the_file_gives(avfeat_command, fifo: Path, clip: Path) -> None:
    thread = threading.Thread(target=fifo.write_bytes, args=(clip.read_bytes(),))
    thread.start()
    ran = avfeat_command("embed", fifo, clip, "-o", "out")
    thread.join()
    assert ran.status == 0
    through, straight = (np.load(f"out/{name}.npz") for name in ("fifo", clip.name))
    for name in ("start", "video", "audio"):
        np.testing.assert_array_equal(through[name], straight[name])


@pytest.mark.parametrize("out", ["vectors.npz", "-"])
@pytest.mark.parametrize("source", ["fifo", "-"])
@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_who_waits_for_a_silent_pipe_is_stopped_at_once(
    fifo: Path, clip: Path, number: int, word: str, source: str, out: str
) -> None:
    import fcntl
    import termios

    # Open for both, so that the pipe stays open, silent, for as long as the test wants.
    pipe = os.open(fifo, os.O_RDWR)
    os.write(pipe, clip.read_bytes()[:20_000])

    def waiting() -> bool:
        """All that was written has been taken."""
        left = bytearray(4)
        fcntl.ioctl(pipe, termios.FIONREAD, left)
        return not any(left)

    process = begun("embed", source, "-o", out, cwd=fifo.parent, until=waiting, stdin=pipe)
    try:
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        os.close(pipe)
    assert process.returncode == 128 + number
    assert said == f"{word}; files that are finished are kept.\n"
    assert [path.name for path in fifo.parent.iterdir()] == ["fifo"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_stop_in_a_read_reaches_the_caller(clip: Path, stop: type[BaseException]) -> None:
    """Ctrl-C in a notebook, while a file on a network is waited for."""

    class Slow:
        def __init__(self) -> None:
            self._file, self._reads = clip.open("rb"), 0
            self.seek, self.tell, self.seekable = self._file.seek, self._file.tell, self._file.seekable

        def read(self, size: int = -1) -> bytes:
            self._reads += 1
            if self._reads > 2:
                raise stop
            return self._file.read(size)

    with avfeat.load() as encoder:
        for embed in (encoder.embed, lambda source: list(encoder.stream(source))):
            with pytest.raises(stop):
                embed(Slow())  # type: ignore[arg-type]
