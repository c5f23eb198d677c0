"""Whole studies: of two cells, interrupted, in several processes, with failures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_studies import RECIPE, failure_of, write_study

from avfeat.errors import OutputError
from avfeat.training.checkpoint import LAST
from avfeat.training.data.lock import building
from avfeat.training.study import Options, Study, load_plan
from avfeat.training.study.results import RESULT, RUNS, RunFailure, RunResult, read, read_all, write
from avfeat.training.study.study import Planned, RunBegan, RunBusy, RunEnded, StudyEnded

_PATIENCE = 240.0


def study(folder: Path, out: Path, **changes: Any) -> Study:
    options = changes.pop("options", Options(device="cpu"))
    return Study(load_plan(str(write_study(folder, **changes))), out, options)


def over(events: list[Any]) -> StudyEnded:
    end = events[-1]
    assert isinstance(end, StudyEnded)
    return end


def numbers(result: Any) -> dict[str, Any]:
    """What two runs of one key have in common."""
    assert isinstance(result, RunResult)
    kept = ("key", "seed", "recipe", "accuracy", "c", "loss", "windows", "data", "cells", "cost")
    return {name: getattr(result, name) for name in kept}


def caches_of(factory: pytest.TempPathFactory) -> Path:
    """Where prepared data lies, also for fixtures that begin before that of a test."""
    base = factory.getbasetemp()
    return (base.parent if base.name.startswith("popen-") else base) / "caches"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A study of two cells that nobody disturbs, and what it said."""
    folder = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVFEAT_CACHE", str(caches_of(tmp_path_factory)))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        asked = study(folder, folder / "out")
        events = list(asked.run())
        torch.set_num_threads(threads)
        asked.publish(asked.grid())
    return folder / "out", events


def test_two_cells_from_data_to_page(done: tuple[Path, list[Any]]) -> None:
    out, events = done
    assert [type(event) for event in events] == [Planned, RunBegan, RunEnded, RunBegan, RunEnded, StudyEnded]
    assert over(events) == StudyEnded((), 0, False, 0)
    outcomes = read_all(out)
    assert [event.run.key for event in events if isinstance(event, RunEnded)] == [run.key for run in events[0].runs]
    for key, result in outcomes.items():
        assert isinstance(result, RunResult) and result.key == key
        assert all(0 <= result.accuracy[name] <= 1 for name in ("video", "audio", "av"))
        assert result.cost == {"training": 6 * 8 * 2 * 4, "probing": 56 * 2 * 4} and result.loss
        assert min(result.seconds.values()) > 0 and result.machine["threads"] == 1
        folder = out / RUNS / key
        assert (folder / "metrics.jsonl").is_file() and not (folder / LAST).parent.exists()
    for name in (
        "results.csv",
        "cells.csv",
        "study.json",
        "study.md",
        "plan.yaml",
        "figures/composition-matrix.png",
    ):
        assert (out / name).stat().st_size > 0, name
    page = (out / "study.md").read_text()
    assert "2 of 2 finished" in page and "figures/composition-matrix.png" in page
    found = json.loads((out / "study.json").read_text())
    assert found["counts"] == {"runs": 2, "finished": 2, "failed": 0} and len(found["verdicts"]) == 6


def test_what_is_done_is_not_done_again(done: tuple[Path, list[Any]]) -> None:
    out, _ = done
    before = {path: path.stat().st_mtime_ns for path in out.glob(f"{RUNS}/*/*")}
    again = Study(load_plan(str(out / "plan.yaml")), out, Options(device="cpu"))
    assert [type(event) for event in again.run()] == [Planned, StudyEnded]
    assert {path: path.stat().st_mtime_ns for path in out.glob(f"{RUNS}/*/*")} == before


def test_the_other_seed_alone_is_left(done: tuple[Path, list[Any]], tmp_path: Path) -> None:
    out, _ = done
    asked = Study(load_plan(str(out / "plan.yaml")), out, Options(device="cpu", seeds=2))
    planned = asked.planned()
    assert [run.seed for run in planned.runs] == [0, 1, 0, 1] and [run.seed for run in planned.left] == [1, 1]
    one = planned.seconds[planned.left[0].key]
    results = [found for found in planned.outcomes.values() if isinstance(found, RunResult)]
    # By what the finished runs took, not by a trial.
    assert one == pytest.approx(sum(sum(result.seconds.values()) for result in results) / 2, rel=1e-6)


def test_a_budget_that_is_too_short_begins_nothing(tmp_path: Path) -> None:
    end = list(study(tmp_path, tmp_path / "out", options=Options(device="cpu", budget=0.0)).run())
    assert [type(event) for event in end] == [Planned, StudyEnded]
    assert over(end).short and len(over(end).left) == 2 and over(end).seconds > 0
    assert not (tmp_path / "out" / RUNS).exists()


def command(folder: Path, out: Path, *more: str) -> list[str]:
    plan = folder / "plan-of-test.yaml"
    return [sys.executable, "-m", "avfeat", "study", "-o", str(out), "--plan", str(plan), "--device", "cpu", *more]


def begin(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}
    with (folder / "err").open("w") as err:
        return subprocess.Popen(
            arguments, env=environment, stdout=err, stderr=err, text=True, start_new_session=True
        )


def at_step(process: subprocess.Popen[str], out: Path, steps: int, folder: Path, runs: int = 1) -> None:
    """Wait until so many runs have lines about so many steps."""
    deadline = time.monotonic() + _PATIENCE
    while sum(path.read_bytes().count(b"\n") >= steps for path in out.glob(f"{RUNS}/*/metrics.jsonl")) < runs:
        assert process.poll() is None and time.monotonic() < deadline, (folder / "err").read_text()
        time.sleep(0.01)


LONG = {"recipe": {**RECIPE, "steps": 40}, "tables": [{"name": "c", "kind": "composition", "singles": ["fade"]}]}
"""Long enough to be met on the way; the reference is left to itself by ``--only``."""


FIRST = Options(device="cpu", only=("c",), part=(0, 2))
"""The baseline alone."""


@pytest.fixture(scope="module")
def alone(done: tuple[Path, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One long run that nobody disturbs; the data is prepared already."""
    folder = tmp_path_factory.mktemp("alone")
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVFEAT_CACHE", str(caches_of(tmp_path_factory)))
        assert not over(list(study(folder, folder / "out", **LONG, options=FIRST).run())).left
    return folder / "out"


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_interrupted_and_continued_it_ends_as_if_left_alone(tmp_path: Path, alone: Path, number: str) -> None:
    write_study(tmp_path, **LONG)
    process = begin(command(tmp_path, tmp_path / "out", "--only", "c", "--shard", "1/2"), tmp_path)
    at_step(process, tmp_path / "out", 5, tmp_path)
    process.send_signal(signal.Signals[number])
    process.wait(_PATIENCE)
    said = (tmp_path / "err").read_text()
    if number == "SIGTERM":
        assert process.returncode == 128 + signal.SIGTERM, said
        assert "stopped; runs left: 1, about" in said and "re-run to resume" in said
    key = next((tmp_path / "out" / RUNS).iterdir()).name
    folder = tmp_path / "out" / RUNS / key
    assert (folder / LAST).is_file() and not (folder / RESULT).exists()
    steps = len((folder / "metrics.jsonl").read_text().splitlines())
    assert 5 <= steps < 40
    again = study(tmp_path, tmp_path / "out", **LONG, options=FIRST)
    assert not over(list(again.run())).left
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 40
    starts = json.loads((folder / "run.json").read_text())["starts"]
    assert len(starts) == 2 and starts[1]["step"] > 0
    assert numbers(read(folder)) == numbers(read(alone / RUNS / key))


def test_a_signal_in_this_process_stops_after_a_checkpoint(tmp_path: Path) -> None:
    # Ignored, where a shell has started this in the background.
    before = signal.getsignal(signal.SIGINT)
    asked = study(tmp_path, tmp_path / "out", **LONG)

    def strike() -> None:
        while not list((tmp_path / "out").glob(f"{RUNS}/*/{LAST}")):
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=strike, daemon=True).start()
    events = list(asked.run())
    assert [type(event) for event in events] == [Planned, RunBegan, StudyEnded]
    assert over(events).signal == signal.SIGINT and len(over(events).left) == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_two_jobs_give_what_one_gives_and_stop_together(done: tuple[Path, list[Any]], tmp_path: Path) -> None:
    out, _ = done
    two = study(tmp_path, tmp_path / "two", options=Options(device="cpu", jobs=2))
    events = list(two.run())
    assert sorted(type(event).__name__ for event in events) == [
        "Planned",
        "RunBegan",
        "RunBegan",
        "RunEnded",
        "RunEnded",
        "StudyEnded",
    ]
    found = read_all(tmp_path / "two")
    assert {key: numbers(one) for key, one in found.items()} == {
        key: numbers(one) for key, one in read_all(out).items()
    }


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_jobs_are_stopped_by_a_signal_to_the_first_process(tmp_path: Path) -> None:
    write_study(tmp_path, **{**LONG, "recipe": {**RECIPE, "steps": 4000}})
    process = begin(command(tmp_path, tmp_path / "out", "--jobs", "2"), tmp_path)
    at_step(process, tmp_path / "out", 3, tmp_path, runs=2)
    process.send_signal(signal.SIGTERM)
    process.wait(_PATIENCE)
    said = (tmp_path / "err").read_text()
    assert process.returncode == 128 + signal.SIGTERM and "stopped; runs left: 3" in said, said
    folders = list((tmp_path / "out" / RUNS).iterdir())
    assert len(folders) == 2 and all((folder / LAST).is_file() for folder in folders)
    assert "Traceback" not in said


def test_a_run_that_diverges_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    tables = [
        {
            "name": "c",
            "kind": "composition",
            "cells": [{"name": "wild", "settings": {"steps": 40, "optimizer": {"lr": 1e30, "warmup": 0.0}}}],
        }
    ]
    asked = study(tmp_path, tmp_path / "out", tables=tables)
    events = list(asked.run())
    outcomes = [event.outcome for event in events if isinstance(event, RunEnded)]
    assert [type(one) for one in outcomes] == [RunResult, RunResult, RunFailure]
    failed = outcomes[2]
    assert isinstance(failed, RunFailure) and "is NaN or infinite" in failed.message and failed.seed == 0
    values = asked.publish(asked.grid(), draw=False)
    assert values["counts"] == {"runs": 3, "finished": 2, "failed": 1}
    page = (tmp_path / "out" / "study.md").read_text()
    assert "wild, seed 0: step" in page and "| wild | sampling-based | (1 failed)" in page
    assert ",failed," in (tmp_path / "out" / "results.csv").read_text()
    # It is not tried again.
    assert [type(event) for event in asked.run()] == [Planned, StudyEnded]


def test_a_run_that_another_process_is_at_is_left_to_it(tmp_path: Path) -> None:
    asked = study(tmp_path, tmp_path / "out")
    first, other = asked.grid().runs
    write(tmp_path / "out" / RUNS / other.key, failure_of(other, 0))
    with building(tmp_path / "out" / RUNS / first.key):
        events = list(asked.run())
    assert [type(event) for event in events] == [Planned, RunBegan, RunBusy, StudyEnded]
    assert over(events).left == (first,)


def test_an_out_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="is a file; OUT must be a folder"):
        study(tmp_path, tmp_path / "out")


def test_results_are_drawn_where_the_data_is_not(done: tuple[Path, list[Any]], tmp_path: Path) -> None:
    out, _ = done
    loaded = load_plan(str(out / "plan.yaml"))
    gone = replace(loaded, plan=replace(loaded.plan, data=str(tmp_path / "AVE")))
    facts = json.loads((out / "data.json").read_text())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "data.json").write_text(json.dumps(facts | {"source": str(tmp_path / "AVE")}))
    (tmp_path / "out" / RUNS).symlink_to(out / RUNS, target_is_directory=True)
    asked = Study(gone, tmp_path / "out", Options(device="cpu"))
    assert asked.publish(asked.grid(known=True), draw=False)["counts"]["finished"] == 2
