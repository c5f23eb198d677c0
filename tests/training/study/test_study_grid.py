from __future__ import annotations

import csv
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_studies import PIECES, RECIPE, TABLES, grid_of, write_study

from avfeat.cli.options import shard_of
from avfeat.errors import ArgumentError
from avfeat.training.recipes import Recipe
from avfeat.training.study.grid import OWN, Run, StudyGrid, TableCell, identity_of, lay_out, shard
from avfeat.training.study.load import load_plan

MADE = "a099776439be765f"
"""Identity of the synthetic dataset that the published study is of."""


def place(grid: StudyGrid, table: str, cell: str) -> TableCell:
    return next(one for one in grid.places if (one.table, one.cell.name) == (table, cell))


def augmentations(one: TableCell) -> list[tuple[str, float]]:
    values = one.recipe.to_values()["augment"]["augmentations"]
    return [(name, settings["strength"]) for entry in values for name, settings in entry.items()]


def test_the_matrix_has_every_single_and_every_pair(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, tables=TABLES)
    named = {one.cell.name for one in grid.places if one.table == "composition"}
    pairs = {" + ".join(pair) for pair in combinations(["fade", "time_mask", "frame_shuffle"], 2)}
    assert named == {"speed", "fade", "time_mask", "frame_shuffle"} | pairs
    both = place(grid, "composition", "fade + frame_shuffle")
    assert augmentations(both) == [("flip", 1), ("gain", 1), ("fade", 1), ("frame_shuffle", 1)]
    assert (both.family, place(grid, "composition", "fade").family) == ("mixed", "lossy coherent")
    speed = place(grid, "composition", "speed")
    assert speed.recipe.augment.sampling.speed == (0.75, 1.33) and len(augmentations(speed)) == 2
    assert speed.family == grid.places[0].family == "sampling-based"


def test_a_pair_has_no_first(tmp_path: Path) -> None:
    one, other = (
        grid_of(tmp_path, tables=[{"name": "t", "kind": "composition", "pairs": pair}]).places[-1]
        for pair in (["fade", "time_mask"], ["time_mask", "fade"])
    )
    assert one.identity == other.identity and one.cell.name != other.cell.name


def test_equal_cells_are_trained_once_and_strength_0_is_the_baseline(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, tables=TABLES, seeds=2)
    base = grid.places[0]
    zero = place(grid, "intensity", "fade 0.0")
    assert zero.identity == base.identity and augmentations(zero) == augmentations(base)
    assert place(grid, "intensity", "frame_shuffle 0.0").identity == base.identity
    assert place(grid, "intensity", "fade 1.0").identity == place(grid, "composition", "fade").identity
    assert place(grid, "resolution", "4, plain").identity == base.identity
    assert dict(augmentations(place(grid, "intensity", "fade 0.5")))["fade"] == 0.5
    assert len({run.key for run in grid.runs}) == len(grid.runs) == 2 * len({one.identity for one in grid.places})
    first = grid.runs[0]
    assert (OWN, "sampling-only") in first.cells and ("intensity", "fade 0.0") in first.cells
    every = [cell for run in grid.runs if run.seed == 0 for cell in run.cells]
    assert sorted(every) == sorted((one.table, one.cell.name) for one in grid.places)


def test_the_order_is_whole_cells_the_baseline_and_the_reference_first(tmp_path: Path) -> None:
    baseline = {"name": "sampling-only", "seeds": 5}
    grid = grid_of(tmp_path, tables=TABLES, seeds=3, baseline=baseline)
    assert [run.seed for run in grid.runs[:11]] == [0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2]
    assert grid.runs[5].cells[0] == (OWN, "fade + time_mask")
    identities = [run.key.rpartition("-")[0] for run in grid.runs]
    assert [one for one, before in zip(identities, ["", *identities], strict=False) if one != before] == list(
        dict.fromkeys(place.identity for place in grid.places)
    )
    assert all(run.recipe.seed == run.seed == int(run.key.rpartition("-")[2]) for run in grid.runs)


def test_gains_are_against_the_cell_that_is_named_or_the_baseline(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, tables=TABLES)
    assert place(grid, "frameworks", "vicreg").against == place(grid, "frameworks", "vicreg, plain").identity
    assert place(grid, "composition", "speed").against == grid.places[0].identity
    assert grid.places[0].against == grid.places[0].identity


def test_some_tables_alone_bring_what_they_are_measured_from(tmp_path: Path) -> None:
    loaded = load_plan(str(write_study(tmp_path, tables=TABLES)))
    tables = {table for run in lay_out(loaded, "d", only=["intensity"]).runs for table, _ in run.cells}
    assert {"intensity", OWN} <= tables
    frameworks = lay_out(loaded, "d", only=["frameworks"]).runs
    # simclr is in other tables, too; vicreg is not.
    assert [run.cells[-1] for run in frameworks][-2:] == [("frameworks", "vicreg, plain"), ("frameworks", "vicreg")]
    assert len(frameworks) == 4
    with pytest.raises(
        ArgumentError, match="--only framework: the plan has no such table; did you mean 'frameworks'"
    ):
        lay_out(loaded, "d", only=["framework"])


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"description": "other"}, True),
        ({"workers": 5}, True),
        ({"seed": 3}, True),
        ({"checkpoint_every": 1}, True),
        ({"steps": 7}, False),
        ({"batch_size": 10}, False),
        ({"precision": "bf16"}, False),
    ],
)
def test_a_key_is_of_all_that_a_result_depends_on(change: dict[str, Any], same: bool) -> None:
    recipe = Recipe.from_values(RECIPE)
    one = identity_of(recipe, "data", 2)
    assert (identity_of(replace(recipe, **change), "data", 2) == one) is same
    assert len({one, identity_of(recipe, "other", 2), identity_of(recipe, "data", 3)}) == 3


def test_a_study_has_no_teachers(tmp_path: Path) -> None:
    cells = [{"name": "odd", "settings": {"distillation": {"teacher": "runs/large"}}}]
    with pytest.raises(ArgumentError, match=r"t: odd: has a teacher, .*; leave distillation out\."):
        grid_of(tmp_path, tables=[{"name": "t", "kind": "composition", "cells": cells}])


def test_what_was_published_is_known_by_the_same_keys() -> None:
    """A new setting must not make old results those of another training."""
    with (Path(__file__).parents[3] / "docs" / "study" / "results.csv").open(newline="") as file:
        published = {row["key"] for row in csv.DictReader(file)}
    assert {run.key for run in lay_out(load_plan("default"), MADE).runs} == published and len(published) == 199


def test_seeds_of_the_command_are_those_of_every_cell(tmp_path: Path) -> None:
    loaded = load_plan(str(write_study(tmp_path, baseline={"name": "sampling-only", "seeds": 5})))
    assert [run.seed for run in lay_out(loaded, "d", seeds=2).runs] == [0, 1, 0, 1]


def test_a_cell_that_no_training_can_have_is_named(tmp_path: Path) -> None:
    cells = [{"name": "odd", "settings": {"encoders": {"fsp": 3}}}]
    tables = [{"name": "t", "kind": "composition", "cells": cells}]
    with pytest.raises(
        ArgumentError, match=r"t: odd: recipe.encoders: there is no setting 'fsp'; did you mean 'fps'"
    ):
        grid_of(tmp_path, tables=tables)
    odd = {**PIECES, "fade": {"family": "incoherent", "add": {"fadee": {}}}}
    with pytest.raises(ArgumentError, match="there is no augmentation 'fadee'; did you mean 'fade'"):
        grid_of(tmp_path, augmentations=odd)


@given(st.integers(0, 60), st.integers(1, 9))
def test_shards_part_the_runs(count: int, parts: int) -> None:
    recipe = Recipe.from_values(RECIPE)
    runs = tuple(Run(f"key-{number}", recipe, ()) for number in range(count))
    shares = [shard(runs, shard_of(f"{one}/{parts}")) for one in range(1, parts + 1)]
    assert sorted((run for share in shares for run in share), key=lambda run: runs.index(run)) == list(runs)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert shard(runs, shard_of(f"0/{parts}")) == shares[-1]
