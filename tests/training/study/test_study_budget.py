from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_studies import RECIPE, grid_of, result_of

from avfeat.errors import ArgumentError
from avfeat.training.recipes import Recipe
from avfeat.training.study import budget
from avfeat.training.study.budget import Estimator, cost_class, duration_of, trial, work

MACHINE = {"device": "cpu", "cores": 2, "threads": 1}


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5h", 5400), ("0s", 0)])
def test_durations(text: str, seconds: float) -> None:
    assert duration_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "30 m", "-1h", "1h30m", "h", "1d", "1,5h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ArgumentError, match="--budget must be a duration such as 90s, 30m or 2h, not"):
        duration_of(text)


def test_work_is_the_frames_that_are_looked_at() -> None:
    # 6 steps of 8 clips, 2 views of 4 frames; 10 clips with 3 windows of 4 frames.
    assert work(Recipe.from_values(RECIPE), clips=10, windows=3) == {"training": 384.0, "probing": 120.0}


def test_finished_runs_foretell_others_of_their_class(tmp_path: Path) -> None:
    run = grid_of(tmp_path).runs[0]
    estimator = Estimator(torch.device("cpu"), 1, clips=10, windows=3)
    for training in (10.0, 20.0, 90.0):
        one = replace(result_of(run, 0, 0.5), seconds={"training": training, "probing": 5.0})
        estimator.learn(one, MACHINE)
    # The median: 20 s for 1000 frames of training, 5 s for 100 of probing.
    assert estimator.seconds(run.recipe) == pytest.approx(384 * 0.02 + 120 * 0.05)
    longer = replace(run.recipe, steps=12)
    assert estimator.seconds(longer) - estimator.seconds(run.recipe) == pytest.approx(384 * 0.02)
    finer = replace(run.recipe, encoders=replace(run.recipe.encoders, fps=8))
    assert estimator.seconds(finer) == pytest.approx(2 * estimator.seconds(run.recipe))


def test_other_classes_and_other_machines_are_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = grid_of(tmp_path).runs[0]
    tried: list[str] = []

    def rates(recipe: Recipe, device: torch.device, threads: int) -> tuple[float, float]:
        tried.append(recipe.objective.name)
        return 1.0, 0.5

    monkeypatch.setattr(budget, "trial", rates)
    estimator = Estimator(torch.device("cpu"), 1, clips=10, windows=3)
    estimator.learn(result_of(run, 0, 0.5), {**MACHINE, "threads": 2})
    assert estimator.seconds(run.recipe) == 384 + 60
    assert estimator.seconds(replace(run.recipe, steps=1)) == 64 + 60
    other = Recipe.from_values({**RECIPE, "objective": {"name": "vicreg"}})
    assert cost_class(other.to_values()) != cost_class(run.recipe.to_values())
    assert estimator.seconds(other) == 384 + 60 and tried == ["simclr", "vicreg"]
    estimator.learn(result_of(run, 0, 0.5), MACHINE)
    assert estimator.seconds(run.recipe) == pytest.approx(384 * 0.02 + 120 * 0.05)


def test_a_trial_measures_and_leaves_nothing_behind() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    training, probing = trial(Recipe.from_values(RECIPE), torch.device("cpu"), 1)
    assert training > probing > 0
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)
