from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_studies import TABLES, grid_of, made_up, write_study

from avfeat.training.study import Options, Study, load_plan
from avfeat.training.study.results import RUNS, write


def test_plans_are_listed(avfeat_command) -> None:
    ran = avfeat_command("study", "--list-plans")
    assert ran.status == 0 and ran.out.splitlines()[0].split() == ["plan", "description"]
    assert {line.split()[0] for line in ran.out.splitlines()[1:]} == {"default", "small"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--plan", "smal"], "There is no plan 'smal'; did you mean 'small'?"),
        (["--plan", "small", "--budget", "3"], "--budget must be a duration such as 90s, 30m or 2h, not '3'."),
        (["--plan", "small", "--shard", "3/2"], "--shard must be I/N with I from 1 to N"),
        (["--plan", "small", "--only", "sync"], "--only sync: the plan has no such table; there are: composition."),
        (["--plan", "small", "--data", "synthetic:ave?split=val"], "leave out the split"),
    ],
)
def test_wrong_usage_is_named(avfeat_command, arguments: list[str], sentence: str) -> None:
    ran = avfeat_command("study", "-o", "out", *arguments)
    assert ran.status == 2 and ran.err.startswith("error: ") and sentence in ran.err and ran.out == ""
    assert not Path("out").exists()


def test_data_that_is_not_there_is_named(avfeat_command) -> None:
    ran = avfeat_command("study", "-o", "out", "--plan", "small", "--data", "gone")
    assert (ran.status, ran.err) == (1, "error: gone: no such file or folder.\n")


def test_runs_are_listed_and_nothing_is_done(avfeat_command, tmp_path: Path) -> None:
    ran = avfeat_command(
        "study", "-o", "out", "--plan", write_study(tmp_path), "--dry-run", "--seeds", 2, "--device", "cpu"
    )
    lines = ran.out.splitlines()
    assert ran.status == 0 and len(lines) == 5 and all(" left " in line for line in lines[1:])
    assert "baseline and reference: sampling-only" in lines[1] and "composition: fade + time_mask" in lines[3]
    assert "runs: 4, done: 0, left: 4, about " in ran.err and not Path("out").exists()


def test_results_of_several_machines_are_drawn_together(avfeat_command, tmp_path: Path) -> None:
    plan = load_plan(str(write_study(tmp_path, tables=TABLES)))
    asked = Study(plan, tmp_path / "out", Options())
    grid = asked.grid()
    assert grid.places[0].identity != grid_of(tmp_path, tables=TABLES).places[0].identity
    outcomes = made_up(grid, lambda place, seed: 0.4 + 0.05 * len(place.cell.pieces) + 0.001 * seed)
    for key, outcome in outcomes.items():
        write(tmp_path / "out" / RUNS / key, outcome)
    named = ("--plan", tmp_path / "plan-of-test.yaml")
    ran = avfeat_command("study", "-o", "out", *named, "--draw", "--json", "-")
    found = json.loads(ran.out)
    assert ran.status == 0 and found == json.loads(Path("out/study.json").read_text())
    assert found["counts"]["finished"] == found["counts"]["runs"] > 0
    shown = avfeat_command("study", "-o", "out", *named, "--draw")
    assert "confirmed" in shown.out and "out/study.md" in shown.out
    again = avfeat_command("study", "-o", "out", *named, "--device", "cpu")
    assert again.status == 0 and "left: 0, about 0 s" in again.err
