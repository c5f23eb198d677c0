from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from avfeat.errors import BusyError, OutputError
from avfeat.lock import hold_lock

HOLDER = """
import sys, time
from pathlib import Path
from avfeat.lock import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Begins processes that hold a lock until their standard input ends."""
    processes = []

    def begin(path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def test_a_lock_of_a_process_that_was_killed_is_free(hold, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = hold(path)
    with pytest.raises(BusyError, match="another process works here; wait until"), hold_lock(path):
        pass
    process.kill()
    process.wait()
    assert path.is_file(), "what a killed process leaves is no lock"
    with hold_lock(path):
        pass


def test_who_has_waited_in_vain_takes_nothing_from_the_holder(hold, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    hold(path)
    begun = time.monotonic()
    for patience in (0.3, 0.0):
        with pytest.raises(BusyError), hold_lock(path, patience):
            pass
        assert path.is_file()
    assert time.monotonic() - begun >= 0.3


def test_who_waits_is_next(hold, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = hold(path)
    threading.Timer(0.3, process.stdin.close).start()
    with hold_lock(path, 60):
        assert process.wait(60) == 0
    with hold_lock(path):
        pass


def test_a_file_that_nobody_holds_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with hold_lock(tmp_path / "lock"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file")
def test_a_lock_file_that_others_remove_is_no_second_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    entered: list[bool] = []

    def enter() -> None:
        with hold_lock(path, 60):
            with pytest.raises(BusyError), hold_lock(path):
                pass
            entered.append(True)

    waiting = threading.Thread(target=enter)
    with hold_lock(path):
        waiting.start()
        time.sleep(0.2)
    waiting.join(60)
    assert entered == [True] and not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="asks for flock")
def test_a_lock_file_that_goes_before_it_is_locked_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    path, lock, gone = tmp_path / "lock", fcntl.flock, []

    def late(file: IO[bytes], how: int) -> None:
        if not gone:
            # The holder ends between another one's opening of the file and its locking.
            path.unlink()
            gone.append(True)
        lock(file, how)

    monkeypatch.setattr("fcntl.flock", late)
    with hold_lock(path):
        assert gone and path.is_file(), "the lock is on a file without a name"
        with pytest.raises(BusyError), hold_lock(path):
            pass


def test_one_at_a_time_among_threads(tmp_path: Path) -> None:
    path, inside, most, rounds = tmp_path / "lock", [], [], 20

    def work() -> None:
        for _ in range(rounds):
            with hold_lock(path, 60):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4 * rounds


@pytest.mark.skipif(sys.platform == "win32", reason="asks for flock")
def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    says = r"lock: cannot be locked \(Operation not supported\); choose a folder"
    with pytest.raises(OutputError, match=says), hold_lock(tmp_path / "lock"):
        pass


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file: cannot be written"), hold_lock(tmp_path / "file" / "lock"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is Unix's")
def test_who_waits_can_be_interrupted(hold, tmp_path: Path) -> None:
    hold(tmp_path / "lock")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    try:
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            with hold_lock(tmp_path / "lock", 60):
                pass
    finally:
        signal.signal(signal.SIGINT, before)
