from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from commands import begin, command, ended, stepped, torchrun
from small_runs import lines, small, state

from avfeat.training.data import Cache


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
def test_torchrun_stops_all_processes_in_good_order(cache: Cache, tmp_path: Path) -> None:
    run, recipe = tmp_path / "run", small(steps=500, checkpoint_every=1000, workers=1, objective__name="byol")
    process = begin(command(cache.path, run, recipe, processes=2), tmp_path)
    stepped(process, run, 3, tmp_path)
    process.send_signal(signal.SIGTERM)
    found = ended(process, tmp_path)
    assert found.status != 0 and found.out == ""
    step = state(run)["step"]
    # The first process alone speaks and writes, and says everything once.
    assert [line["step"] for line in lines(run)] == list(range(1, step + 1))
    assert found.err.count(f"stopped after step {step} of 500, which ") == 1
    assert found.err.count("parameters: ") == found.err.count("loss ") // step == 1
    assert "in 2 processes, estimated from 2 steps" in found.err
    assert "DataLoader" not in found.err and "Gloo" not in found.err


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
def test_an_error_of_all_processes_is_said_once(tmp_path: Path) -> None:
    arguments = command(tmp_path / "gone", tmp_path / "run", small(), processes=2)
    found = ended(begin(arguments, tmp_path), tmp_path)
    assert found.status != 0 and found.out == "" and not (tmp_path / "run").exists()
    assert found.err.count(f"error: {tmp_path}/gone: no such file or folder.") == 1


ALONE = """
import os, sys, time
from avfeat.cli import main

if os.environ["RANK"] == "0":
    time.sleep(200)
main()
"""


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
def test_an_error_of_another_process_alone_is_said(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(ALONE)
    own = ["train", str(tmp_path / "gone"), "-o", str(tmp_path / "run"), "--recipe", "smoke"]
    arguments = [sys.executable, *torchrun(2), str(tmp_path / "alone.py"), *own]
    found = ended(begin(arguments, tmp_path), tmp_path)
    assert found.status != 0 and found.err.count(f"error: {tmp_path}/gone: no such file or folder.") == 1
