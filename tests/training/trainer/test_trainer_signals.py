"""Trainings that are killed, interrupted and stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest
from commands import begin, command, group, stepped, until
from small_runs import differences, lines, ran, small, state

from avfeat.training.checkpoint import LAST
from avfeat.training.data import Cache
from avfeat.training.trainer import DivergedError, MetricsLogged, TrainingStarted, TrainingStopped, train

STEPS = 24
BYOL = {"steps": STEPS, "checkpoint_every": 4, "objective__name": "byol"}


@pytest.fixture(scope="module")
def alone(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody disturbs."""
    run = tmp_path_factory.mktemp("alone")
    ran(cache, run, small(**BYOL))
    return run


def assert_same(run: Path, alone: Path) -> None:
    assert lines(run) == lines(alone)
    assert differences(*({**state(one), "recipe": 0, "data": 0} for one in (run, alone))) == []


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
def test_killed_and_resumed_it_ends_as_if_left_alone(cache: Cache, tmp_path: Path, alone: Path) -> None:
    recipe, run = small(**BYOL, workers=1), tmp_path / "run"
    process = begin(command(cache.path, run, recipe), tmp_path)
    stepped(process, run, 7, tmp_path)
    # Only the one that trains: its worker has to notice.
    process.kill()
    process.wait()
    until(lambda: not group(process.pid), "the worker outlives the process that was killed")
    assert 7 <= len(lines(run)) < STEPS
    with (run / "metrics.jsonl").open("a") as file:
        # As if the last line had not been written whole.
        file.write('{"step": 9')
    ran(cache, run, small(**BYOL), resume=True)
    assert_same(run, alone)


def workers() -> list[int]:
    return [one.pid for one in multiprocessing.active_children() if one.pid is not None]


def strike() -> None:
    """Both signals for the workers, as soon as there are any: before they can have said what they do with them."""
    until(lambda: bool(workers()), "there are no workers")
    for pid in workers():
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_ends_it_in_good_order(
    cache: Cache, tmp_path: Path, alone: Path, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    last, thread = None, threading.Thread(target=strike)
    for event in train(cache, "some clips", tmp_path, small(**BYOL, workers=1), device="cpu"):
        last = event
        if isinstance(event, TrainingStarted):
            thread.start()
        if isinstance(event, MetricsLogged) and event.metrics["step"] == 6:
            thread.join()
            for pid in (*workers(), os.getpid()):
                os.kill(pid, number)
    assert last == TrainingStopped(6, number, tmp_path / LAST)
    assert workers() == []
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
    assert state(tmp_path)["step"] == 6
    assert capfd.readouterr() == ("", "")
    ran(cache, tmp_path, small(**BYOL), resume=True)
    assert_same(tmp_path, alone)


def test_an_error_leaves_no_worker_behind(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as caught:
        ran(cache, tmp_path, small(steps=50, optimizer__lr=1e30, workers=1))
    # Held by its traceback, the loader lives; its worker does not.
    assert caught.tb is not None and workers() == []


def test_a_signal_in_the_last_step_is_too_late_to_stop_it(cache: Cache, tmp_path: Path) -> None:
    events = []
    for event in train(cache, "some clips", tmp_path, small(steps=2), device="cpu"):
        events.append(type(event).__name__)
        if isinstance(event, MetricsLogged) and event.metrics["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)
    assert events[-1] == "TrainingFinished" and "TrainingStopped" not in events
