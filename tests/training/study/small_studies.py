"""Small studies for tests: a plan of a few cells, and results that are made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from avfeat.training.study.grid import Run, StudyGrid, TableCell, lay_out
from avfeat.training.study.load import load_plan
from avfeat.training.study.results import RunFailure, RunOutcome, RunResult
from avfeat.training.study.summary import Summary, summarise

DATA = "synthetic:ave?videos=56"
"""Two videos of each class: 42 to train on, 7 and 7 to choose and to test."""
RECIPE: dict[str, Any] = {
    "encoders": {"video": "tiny_shift", "audio": "tiny_mel", "seconds": 1.0, "fps": 4, "size": 32, "shared": 16},
    "objective": {"name": "simclr", "settings": {"simclr": {"hidden": 32, "out": 32}}},
    "augment": {"augmentations": [{"flip": {"p": 0.5}}, {"gain": {}}]},
    "steps": 6,
    "batch_size": 8,
    "workers": 0,
    "log_every": 1,
    "checkpoint_every": 2,
}
PIECES: dict[str, Any] = {
    "speed": {"family": "sampling-based", "sampling": {"speed": [0.75, 1.33]}},
    "fade": {"family": "lossy coherent", "add": {"fade": {"p": 0.5}}},
    "time_mask": {"family": "lossy coherent", "add": {"time_mask": {"p": 0.5, "fraction": 0.5}}},
    "frame_shuffle": {"family": "incoherent", "add": {"frame_shuffle": {"p": 0.5}}},
}


def plan_values(**changes: Any) -> dict[str, Any]:
    """A plan of two cells: the baseline and the reference, which is the only pair."""
    values: dict[str, Any] = {
        "data": DATA,
        "recipe": RECIPE,
        "seeds": 1,
        "windows": 2,
        "baseline": {"name": "sampling-only"},
        "reference": {"name": "fade + time_mask", "pieces": ["fade", "time_mask"]},
        "augmentations": PIECES,
        "tables": [{"name": "composition", "kind": "composition", "pairs": ["fade", "time_mask"]}],
    }
    return values | changes


def write_study(folder: Path, **changes: Any) -> Path:
    """A plan as a file."""
    path = folder / "plan-of-test.yaml"
    path.write_text(yaml.safe_dump(plan_values(**changes), sort_keys=False))
    return path


def grid_of(folder: Path, **changes: Any) -> StudyGrid:
    """Cells and runs of a plan."""
    return lay_out(load_plan(str(write_study(folder, **changes))), "some data")


TABLES: list[dict[str, Any]] = [
    {
        "name": "composition",
        "kind": "composition",
        "singles": ["speed", "fade", "time_mask", "frame_shuffle"],
        "pairs": ["fade", "time_mask", "frame_shuffle"],
    },
    {
        "name": "frameworks",
        "kind": "frameworks",
        "cells": [
            cell
            for name in ("simclr", "vicreg")
            for cell in (
                {"name": f"{name}, plain", "settings": {"objective": {"name": name}}},
                {
                    "name": name,
                    "pieces": ["fade"],
                    "settings": {"objective": {"name": name}},
                    "against": f"{name}, plain",
                },
            )
        ],
    },
    {
        "name": "intensity",
        "kind": "intensity",
        "cells": [
            {"name": f"{piece} {x}", "series": piece, "pieces": [piece], "strength": x, "x": x}
            for piece in ("fade", "frame_shuffle")
            for x in (0.0, 0.5, 1.0)
        ],
    },
    *(
        {
            "name": name,
            "kind": name,
            "cells": [
                cell
                for x in (2.0, 4.0, 8.0)
                for cell in (
                    {"name": f"{x:g}, plain", "settings": {"encoders": {key: kind(x)}}, "x": x},
                    {
                        "name": f"{x:g}",
                        "pieces": ["fade"],
                        "settings": {"encoders": {key: kind(x)}},
                        "x": x,
                        "against": f"{x:g}, plain",
                    },
                )
            ],
        }
        for name, key, kind in (("resolution", "fps", int), ("length", "seconds", float))
    ),
    {
        "name": "sync",
        "kind": "sync",
        "cells": [
            {
                "name": "independent",
                "settings": {"augment": {"sampling": {"jitter": 0.25}}},
                "pieces": ["fade"],
            },
            {"name": "shared", "pieces": ["fade"], "against": "independent"},
        ],
    },
]
"""One table of each kind; cells that are equal elsewhere, too."""

Value = Callable[[TableCell, int], float | None]


def made_up(grid: StudyGrid, value: Value, seeds: int = 3) -> dict[str, RunOutcome]:
    """Results of all cells: ``value`` gives the accuracy of a cell's seed, None for a run that was not done.

    Of equal cells, the first one that has a value counts; the accuracy of one modality is a bit less.
    """
    found: dict[str, RunOutcome] = {}
    for place in grid.places:
        for seed in range(seeds):
            key = f"{place.identity}-{seed}"
            if key not in found and (accuracy := value(place, seed)) is not None:
                found[key] = result_of(Run(key, place.recipe, ((place.table, place.cell.name),)), seed, accuracy)
    return found


def result_of(run: Run, seed: int, accuracy: float) -> RunResult:
    """A finished run with made-up numbers."""
    return RunResult(
        key=run.key,
        seed=seed,
        cells=run.cells,
        recipe=run.recipe.to_values(),
        data={"clips": 42},
        windows=2,
        accuracy={"video": accuracy - 0.1, "audio": accuracy - 0.05, "av": accuracy},
        c={"video": 0.1, "audio": 0.01, "av": 1.0},
        loss=1.5,
        seconds={"training": 20.0, "probing": 5.0},
        cost={"training": 1000.0, "probing": 100.0},
        versions={"avfeat": "0"},
        revision="unknown",
        machine={"device": "cpu", "cores": 2, "threads": 1},
    )


def failure_of(run: Run, seed: int) -> RunFailure:
    """A run that diverged."""
    return RunFailure(
        key=run.key,
        seed=seed,
        cells=run.cells,
        recipe=run.recipe.to_values(),
        machine={},
        message="step 3: the loss (nan) is NaN or infinite.",
    )


def summary_of(folder: Path, value: Value, seeds: int = 3, **changes: Any) -> Summary:
    """What made-up results say of a plan with one table of each kind."""
    grid = grid_of(folder, **{"tables": TABLES, **changes})
    return summarise(grid, made_up(grid, value, seeds))
