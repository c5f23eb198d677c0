"""Pipes: what comes through them is embedded, and a silent one keeps nobody."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
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


@pytest.fixture(scope="module")
def beginnings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Of files; some formats are read on after an error."""
    folder = tmp_path_factory.mktemp("pipes")
    tracks = VideoTrack(seconds=3.0), AudioTrack(seconds=3.0, codec="aac")
    return {form: make_media(folder / f"v.{form}", *tracks).read_bytes()[:20_000] for form in ("mp4", "mkv", "flv")}


@pytest.mark.parametrize(
    ("form", "number", "source", "out"),
    [
        ("mp4", signal.SIGINT, "fifo", "vectors.npz"),
        ("mp4", signal.SIGINT, "-", "-"),
        ("mp4", signal.SIGTERM, "fifo", "-"),
        ("mp4", signal.SIGTERM, "-", "vectors.npz"),
        ("mkv", signal.SIGTERM, "-", "-"),
        ("flv", signal.SIGINT, "fifo", "vectors.npz"),
    ],
)
def test_who_waits_for_a_silent_pipe_is_stopped_at_once(
    fifo: Path, beginnings: dict[str, bytes], form: str, number: signal.Signals, source: str, out: str
) -> None:
    import fcntl
    import termios

    # Open for both, so that the pipe stays open, silent, for as long as the test wants.
    pipe = os.open(fifo, os.O_RDWR)
    os.write(pipe, beginnings[form])

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
    word = "interrupted" if number == signal.SIGINT else "terminated"
    assert said == f"{word}; files that are finished are kept.\n"
    assert [path.name for path in fifo.parent.iterdir()] == ["fifo"]


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux opens a FIFO before anybody writes to it")
def test_who_waits_for_a_pipe_that_nobody_writes_to_is_stopped(fifo: Path, number: int, word: str) -> None:
    writers: list[int] = []

    def read_by_somebody() -> bool:
        """Only where it was opened to read from can it be opened to write to without waiting."""
        with suppress(OSError):
            writers.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        return bool(writers)

    process = begun("embed", "fifo", "-o", "v.npz", cwd=fifo.parent, until=read_by_somebody)
    try:
        process.send_signal(number)
        said = stopped(process)
    finally:
        os.close(writers[0])
    assert process.returncode == 128 + number and said == f"{word}; files that are finished are kept.\n"


@pytest.mark.parametrize("out", ["out", "rows.parquet"])
def test_the_first_failure_ends_the_wait_for_a_silent_pipe(avfeat_command, fifo: Path, out: str) -> None:
    pipe = os.open(fifo, os.O_RDWR)
    try:
        ran = avfeat_command("embed", "gone.mp4", fifo, "-o", out, "--workers", 2, "--on-error", "fail")
    finally:
        os.close(pipe)
    assert ran.status == 1 and "error: gone.mp4: no such file." in ran.err


def test_a_library_that_is_interrupted_leaves_a_silent_pipe(fifo: Path) -> None:
    pipe = os.open(fifo, os.O_RDWR)
    timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with avfeat.load() as encoder, pytest.raises(KeyboardInterrupt):
            timer.start()
            list(encoder.embed_many([fifo], workers=1))
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(pipe)


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


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_change_nothing_else(tmp_path: Path, clip: Path, closed: str) -> None:
    script = f'exec "$@" {closed}'
    command = [sys.executable, "-m", "avfeat", "embed", str(clip), "nowhere.mp4", "-o", "out"]
    ran = subprocess.run(["sh", "-c", script, "sh", *command], cwd=tmp_path, capture_output=True, timeout=60)
    assert ran.returncode == 1
    # No error on stdout, and no text of any stream in a file that was opened since.
    assert b"error" not in ran.stdout
    assert (b"error: nowhere.mp4" in ran.stderr) is ("2>&-" not in closed)
    np.load(tmp_path / "out" / f"{clip.name}.npz")["video"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{clip.name}.npz", "failures.jsonl"]


def test_lines_for_a_closed_stdout_are_an_error(tmp_path: Path, clip: Path) -> None:
    command = [sys.executable, "-m", "avfeat", "embed", str(clip), "-o", "-"]
    script = ["sh", "-c", 'exec "$@" >&-', "sh"]
    ran = subprocess.run([*script, *command], cwd=tmp_path, capture_output=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (1, b"error: stdout: is closed; give -o a file or a folder.\n")


@pytest.mark.parametrize("wait", [0.0, 0.05, 0.2])
def test_an_interrupt_while_the_command_is_imported_is_a_sentence(tmp_path: Path, wait: float) -> None:
    code = "import sys; sys.argv[1:] = ['info']; from avfeat.cli import main; print('begun', flush=True); main()"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-c", f"import time; {code}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, before)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    time.sleep(0.01 + wait)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    # After the last line, Python itself is left by the signal.
    assert process.returncode in ((0, -signal.SIGINT) if said == "" else (130,))
    assert said in ("", "interrupted; nothing was begun.\n", "interrupted; files that are finished are kept.\n")


def test_a_stream_that_is_closed_closes_its_file(clip: Path, encoder: avfeat.Encoder) -> None:
    with clip.open("rb") as file:
        windows = encoder.stream(file)
        next(windows)
        windows.close()
        with pytest.raises(StopIteration):
            next(windows)
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0
    windows = encoder.stream(clip)
    next(windows)
    windows.close()
    assert before == 0 or len(list(Path("/proc/self/fd").iterdir())) == before
