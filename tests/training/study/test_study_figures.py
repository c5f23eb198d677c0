from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_studies import TABLES, failure_of, grid_of, made_up

from avfeat.training.study.figures import draw_figures
from avfeat.training.study.grid import StudyGrid, TableCell
from avfeat.training.study.page import NAME, shown, write_page
from avfeat.training.study.results import RunOutcome
from avfeat.training.study.statistics import Estimate
from avfeat.training.study.summary import summarise
from avfeat.training.study.tables import as_json, write_tables

NAMES = [
    "composition-matrix.png", "composition-families.png", "frameworks.png", "intensity.png",
    "resolution.png", "length.png", "sync.png",
]  # fmt: skip


def value(place: TableCell, seed: int) -> float:
    return 0.4 + 0.03 * len(place.cell.pieces) + 0.01 * (seed * len(place.cell.name) % 3)


def drawn(folder: Path, grid: StudyGrid, outcomes: dict[str, RunOutcome]) -> dict[str, bytes]:
    summary = summarise(grid, outcomes)
    names = draw_figures(folder, summary)
    write_tables(folder, summary, outcomes)
    write_page(folder, summary, outcomes, names)
    return {name: (folder / "figures" / name).read_bytes() for name in names}


def test_every_table_is_drawn_and_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, tables=TABLES)
    found = drawn(tmp_path / "one", grid, made_up(grid, value))
    assert sorted(found) == sorted(NAMES)
    for name, picture in found.items():
        pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
        assert min(pixels.shape[:2]) > 150 and pixels.std() > 5, name
    assert drawn(tmp_path / "two", grid, made_up(grid, value)) == found
    page = (tmp_path / "one" / NAME).read_text()
    assert all(f"](figures/{name})" in page for name in NAMES)


@pytest.mark.parametrize(
    ("kept", "seeds"),
    [([], 1), (["sampling-only", "fade", "vicreg", "shared", "8, plain"], 1), (["sampling-only", "fade"], 2)],
)
def test_what_was_not_run_is_blank(tmp_path: Path, kept: list[str], seeds: int) -> None:
    grid = grid_of(tmp_path, tables=TABLES)
    outcomes = made_up(grid, lambda place, seed: value(place, seed) if place.cell.name in kept else None, seeds)
    assert sorted(drawn(tmp_path, grid, outcomes)) == sorted(NAMES)
    rows = list(csv.DictReader((tmp_path / "cells.csv").open()))
    blank = next(row for row in rows if row["cell"] == "speed" and row["modality"] == "av")
    assert (blank["n"], blank["mean"], blank["gain"], blank["gain_n"]) == ("0", "", "", "0")
    page = (tmp_path / NAME).read_text()
    assert "| speed | sampling-based |  |  |  |  | sampling-only |  |" in page
    if not kept:
        assert not outcomes and "Runs: 0 of" in page and "nan" not in page.lower()
    if "fade" in kept:
        fade = next(row for row in rows if row["cell"] == "fade" and row["modality"] == "av")
        assert fade["n"] == str(seeds) and float(fade["gain"]) > 0 and bool(fade["gain_low"]) is (seeds > 1)


def test_cells_of_one_training_have_one_number(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, tables=TABLES)
    drawn(tmp_path, grid, made_up(grid, value))
    rows = [row for row in csv.DictReader((tmp_path / "cells.csv").open()) if row["modality"] == "video"]
    same = [
        row for row in rows if (row["table"], row["cell"]) in {("intensity", "fade 1.0"), ("composition", "fade")}
    ]
    assert len(same) == 2 and same[0]["mean"] == same[1]["mean"] and len(rows) == len(grid.places)
    baseline = rows[0]
    assert baseline["cell"] == "sampling-only" and baseline["gain"] == baseline["against"] == ""


def test_the_page_and_the_tables_show_failures(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, tables=TABLES)
    outcomes = made_up(grid, value)
    lost = next(run for run in grid.runs if ("composition", "speed") in run.cells)
    outcomes[lost.key] = failure_of(lost, 0)
    drawn(tmp_path, grid, outcomes)
    page = (tmp_path / NAME).read_text()
    assert "| speed | sampling-based | 2 (1 failed) |" in page
    assert "## Failed runs" in page and "- speed, seed 0: step 3: the loss (nan) is NaN or infinite." in page
    row = next(row for row in csv.DictReader((tmp_path / "results.csv").open()) if row["key"] == lost.key)
    assert (row["status"], row["av"]) == ("failed", "") and "NaN" in row["message"]
    counts = as_json(summarise(grid, outcomes), outcomes)["counts"]
    # The plan of the test has one seed a cell.
    assert counts["failed"] == 1 and counts["finished"] == counts["runs"] - 1


def test_numbers_are_percent_with_their_interval() -> None:
    assert shown(Estimate(3, 0.123, 0.1, 0.146)) == "12.3 (10.0 to 14.6)"
    assert shown(Estimate(1, -0.0123), signed=True) == "-1.2"
    assert shown(Estimate(2, 0.01, -0.1, 0.12), signed=True) == "+1.0 (-10.0 to +12.0)"
    assert shown(None) == ""
