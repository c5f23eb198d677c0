"""Pipes: what comes through them is embedded, and a silent one keeps nobody."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media
from processes import begun

import avfeat

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="FIFOs are Unix's")


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def test_a_named_pipe_gives_what_the_file_gives(avfeat_command, fifo: Path, clip: Path) -> None:
    thread = threading.Thread(target=fifo.write_bytes, args=(clip.read_bytes(),), daemon=True)
    thread.start()
    ran = avfeat_command("embed", fifo, clip, "-o", "out")
    thread.join(60)
    assert ran.status == 0
    through, straight = (np.load(f"out/{name}.npz") for name in ("fifo", clip.name))
    for name in ("start", "video", "audio"):
        np.testing.assert_array_equal(through[name], straight[name])


def stopped(process: subprocess.Popen[str]) -> str:
    """What it said until it ended."""
    try:
        return process.communicate(timeout=60)[1]
    finally:
        process.kill()


@pytest.fixture(scope="module", params=[".mp4", ".mkv", ".flv"])
def beginning(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of a file; some formats are read on after an error."""
    path = tmp_path_factory.mktemp("pipes") / f"v{request.param}"
    return make_media(path, VideoTrack(seconds=3.0), AudioTrack(seconds=3.0, codec="aac")).read_bytes()[:20_000]


@pytest.mark.parametrize("out", ["vectors.npz", "-"])
@pytest.mark.parametrize("source", ["fifo", "-"])
@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_who_waits_for_a_silent_pipe_is_stopped_at_once(
    fifo: Path, beginning: bytes, number: int, word: str, source: str, out: str
) -> None:
    import fcntl
    import termios

    # Open for both, so that the pipe stays open, silent, for as long as the test wants.
    pipe = os.open(fifo, os.O_RDWR)
    os.write(pipe, beginning)

    def waiting() -> bool:
        """All that was written has been taken."""
        left = bytearray(4)
        fcntl.ioctl(pipe, termios.FIONREAD, left)
        return not any(left)

    try:
        process = begun("embed", source, "-o", out, cwd=fifo.parent, until=waiting, stdin=pipe)
        process.send_signal(number)
        said = stopped(process)
    finally:
        os.close(pipe)
    assert process.returncode == 128 + number
    assert said == f"{word}; files that are finished are kept.\n"
    assert [path.name for path in fifo.parent.iterdir()] == ["fifo"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux opens a FIFO before anybody writes to it")
def test_who_waits_for_a_pipe_that_nobody_writes_to_is_stopped(fifo: Path, number: int) -> None:
    process = begun("embed", "fifo", "-o", "v.npz", cwd=fifo.parent, until=lambda: read_by_anybody(fifo))
    process.send_signal(number)
    assert "files that are finished are kept." in stopped(process)
    assert process.returncode == 128 + number


def read_by_anybody(fifo: Path) -> bool:
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("work", ["read", "seek"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_stop_in_a_file_object_reaches_the_caller(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], stop: type[BaseException], suffix: str, work: str
) -> None:
    """Ctrl-C in a notebook, while a file on a network is waited for."""
    path = make_media(tmp_path / f"v{suffix}", VideoTrack(seconds=3.0), AudioTrack(seconds=3.0))

    class Slow(io.BytesIO):
        calls = 0

        def read(self, size: int | None = -1) -> bytes:
            return super().read(self._counted("read", size))

        def seek(self, offset: int, whence: int = 0) -> int:
            return super().seek(self._counted("seek", offset), whence)

        def _counted(self, name: str, value: Any) -> Any:
            self.calls += name == work
            # The first ones are avfeat's own look at the file.
            if self.calls > {"read": 1, "seek": 2}[name]:
                raise stop
            return value

    with avfeat.load() as encoder:
        for embed in (encoder.embed, lambda source: list(encoder.stream(source))):
            slow = Slow(path.read_bytes())
            with pytest.raises(stop):
                embed(slow)
    assert capfd.readouterr().err == ""


def test_two_pipes_that_are_fed_in_turn(tmp_path: Path, avfeat_command) -> None:
    """As of one program with two outputs: who reads one to its end first waits for ever."""
    paths = [make_media(tmp_path / f"{n}.ts", VideoTrack(seconds=3.0), AudioTrack(seconds=3.0)) for n in range(2)]
    fifos = [tmp_path / f"{number}.fifo" for number in range(2)]

    def feed() -> None:
        with ExitStack() as stack:
            sources = [stack.enter_context(path.open("rb")) for path in paths]
            targets = [stack.enter_context(fifo.open("wb")) for fifo in fifos]
            while pieces := [source.read(4096) for source in sources if source]:
                if not any(pieces):
                    return
                for piece, target in zip(pieces, targets, strict=True):
                    target.write(piece)
                    target.flush()

    for fifo in fifos:
        os.mkfifo(fifo)
    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    ran = avfeat_command("embed", *fifos, "-o", "out", "--workers", 2)
    thread.join(60)
    assert ran.status == 0 and len(list(Path("out").glob("*.npz"))) == 2
