"""A decoder that crashes or hangs costs its file; the others go on."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media

from avfeat import ArgumentError, Embedding, Encoder, Failure
from avfeat.isolation import Decoders
from avfeat.job import EmbedSettings, TaskDone, TaskFailed, TaskSkipped, make_plan, run, write_failures
from avfeat.media import MediaSummary, Window, Windows, media_windows

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and FIFOs are Unix's")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_media(tmp_path_factory.mktemp("s") / "s.wav", audio=AudioTrack(0.5, 8000, codec="pcm_s16le"))


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A file whose decoder waits for as long as the test wants."""
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def to_the_reader_of(fifo: Path, number: int) -> threading.Thread:
    """Send a signal to the process that has opened the FIFO, once it has."""

    def send() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for child in multiprocessing.active_children():
                fds = Path(f"/proc/{child.pid}/fd")
                if any(os.path.realpath(fd) == str(fifo) for fd in fds.glob("*")):
                    assert child.pid is not None
                    os.kill(child.pid, number)
                    return
            time.sleep(0.02)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@linux
@pytest.mark.parametrize(("number", "words"), [(signal.SIGSEGV, "crashed (SIGSEGV)"), (signal.SIGKILL, "memory")])
def test_a_crash_is_one_failure_and_the_rest_goes_on(
    fifo: Path, sound: Path, encoder: Encoder, number: int, words: str
) -> None:
    for name in ("a.wav", "z.wav"):
        shutil.copy(sound, fifo.parent / name)
    names = [str(fifo.parent / name) for name in ("a.wav", "fifo", "z.wav")]
    plan = make_plan(names, str(fifo.parent / "out"))
    for expected in (TaskDone, TaskSkipped):
        killer = to_the_reader_of(fifo, number)
        events = list(run(plan, encoder, EmbedSettings(workers=1, isolate=True)))
        write_failures(plan, events)
        killer.join()
        by_name = {Path(event.task.name).name: event for event in events}
        failed = by_name["fifo"]
        assert isinstance(failed, TaskFailed) and failed.failure.reason == "crashed"
        assert failed.failure.message.startswith(str(fifo)) and words in failed.failure.message
        assert type(by_name["a.wav"]) is type(by_name["z.wav"]) is expected
        assert '"reason": "crashed"' in (fifo.parent / "out" / "failures.jsonl").read_text()
    assert multiprocessing.active_children() == []


@linux
def test_a_decoder_that_hangs_is_ended_by_the_timeout(fifo: Path, sound: Path, encoder: Encoder) -> None:
    # A stopped process does nothing at all, not even look at the time.
    killer = to_the_reader_of(fifo, signal.SIGSTOP)
    begun = time.monotonic()
    hung, fine = encoder.embed_many([fifo, sound], workers=1, isolate=True, timeout=3.0)
    killer.join()
    assert isinstance(hung, Failure) and hung.reason == "timeout" and "timeout of 3 s" in hung.message
    assert isinstance(fine, Embedding) and time.monotonic() - begun < 60
    assert multiprocessing.active_children() == []


def test_rows_warnings_and_failures_are_those_of_one_process(
    clip: Path, tmp_path: Path, encoder: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    cut = make_media(tmp_path / "cut.ts", VideoTrack(3.0), AudioTrack(3.0))
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) * 9 // 10 // 188 * 188 + 100])
    (tmp_path / "text.mp4").write_text("no video\n" * 50)
    sources: list[Any] = [clip, cut, tmp_path / "text.mp4", tmp_path / "gone.mp4", clip.read_bytes()]
    found, said = [], []
    with caplog.at_level(logging.WARNING, "avfeat"):
        for isolate in (False, True):
            caplog.clear()
            found.append(list(encoder.embed_many(sources, isolate=isolate, hop=1.0, workers=1)))
            said.append(caplog.messages)
    assert said[0] == said[1] != []
    for one, other in zip(*found, strict=True):
        if isinstance(one, Failure):
            assert one == other
            continue
        assert isinstance(other, Embedding)
        assert (one.duration, one.damage, one.damaged) == (other.duration, other.damage, other.damaged)
        for name in ("start", "video", "audio", "has_video", "has_audio"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_closing_leaves_no_process(fifo: Path, sound: Path, encoder: Encoder) -> None:
    results = encoder.embed_many([sound, fifo, fifo], isolate=True, workers=2)
    next(iter(results))
    results.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def faulty(source: Any, *rest: Any, **options: Any) -> Windows:
    """``media_windows``, but for files whose names say what happens in the middle of them."""
    return Windows(_faulty(source, *rest, **options))


def _faulty(source: Any, *rest: Any, **options: Any) -> Generator[Window, None, MediaSummary]:
    windows = media_windows(source, *rest, **options)
    for window in windows:
        yield window
        if Path(source).stem == "abort":
            os.abort()
        if Path(source).stem == "exit":
            os._exit(3)
        if Path(source).stem == "memory":
            raise MemoryError
    return windows.outcome


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Decoders]:
    real = Decoders

    def made() -> Decoders:
        return real(faulty)

    monkeypatch.setattr("avfeat.encoder.Decoders", made)
    return made


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("faults")
def test_deaths_in_the_middle_of_a_file(tmp_path: Path, sound: Path, encoder: Encoder, workers: int) -> None:
    names = ["a", "abort", "b", "exit", "memory", "abort", "c"]
    for name in set(names):
        shutil.copy(sound, tmp_path / f"{name}.wav")
    sources = [tmp_path / f"{name}.wav" for name in names]
    results = list(encoder.embed_many(sources, isolate=True, workers=workers, hop=0.1))
    for name, result in zip(names, results, strict=True):
        if len(name) == 1:
            assert isinstance(result, Embedding)
        else:
            assert isinstance(result, Failure) and result.reason == "crashed"
            assert {"abort": "SIGABRT", "exit": "ended", "memory": "memory"}[name] in result.message


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path, sound: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import avfeat\nprint(list(avfeat.load().embed_many([{str(sound)!r}], isolate=True)))\n")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1
    assert f"{ArgumentError.__name__}: Decoding processes cannot start; a script must do its work" in ran.stderr
