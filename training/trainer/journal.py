"""What a run writes about itself: ``metrics.jsonl``, TensorBoard, ``recipe.yaml`` and ``run.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from avfeat.errors import OutputError
from avfeat.training.recipes import Recipe
from avfeat.writers.atomic import atomic

METRICS = "metrics.jsonl"
RECIPE = "recipe.yaml"
RUN = "run.json"


class RunLogger:
    """The files of a run, beside its checkpoints; a context manager."""

    def __init__(self, run: Path, step: int) -> None:
        """Go on after ``step``: what was written about later steps is dropped, as they will be done again.

        Raises:
            OutputError: the folder cannot be written to.
        """
        from tensorboardX import SummaryWriter

        self._path = run / METRICS
        keep = [line for line in _lines(self._path) if _step(line, self._path) <= step]
        with atomic(self._path) as file:
            file.write("".join(keep).encode())
        try:
            self._file: IO[str] = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror}).") from error
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> RunLogger:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._board.close()

    def write(self, metrics: Mapping[str, float]) -> None:
        """One line, and one point of each curve; what is not a number is null."""
        line = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        for name, value in metrics.items():
            if name != "step" and math.isfinite(value):
                self._board.add_scalar(name, value, int(metrics["step"]))


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """All lines of a run's ``metrics.jsonl``."""
    return [json.loads(line) for line in _lines(run / METRICS)]


def write_recipe(run: Path, recipe: Recipe) -> None:
    """The resolved recipe, which ``--recipe`` reads back."""
    text = yaml.safe_dump(
        recipe.to_values(), sort_keys=False, default_flow_style=None, width=116, allow_unicode=True
    )
    with atomic(run / RECIPE) as file:
        file.write(text.encode())


def write_run(run: Path, facts: Mapping[str, Any]) -> None:
    """Add a start of this run, with the ``facts`` of the machine and the data, to those in ``run.json``."""
    path = run / RUN
    try:
        starts = json.loads(path.read_text("utf-8"))["starts"] if path.exists() else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path}: is not what a run of avfeat writes; move it away.") from error
    with atomic(path) as file:
        file.write((json.dumps({"starts": [*starts, facts]}, indent=2) + "\n").encode())


def _step(line: str, path: Path) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path}: is not what a run of avfeat writes; move it away.") from error


def _lines(path: Path) -> list[str]:
    """Whole lines; one that a kill has cut short is dropped."""
    if not path.exists():
        return []
    return [line for line in path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]
