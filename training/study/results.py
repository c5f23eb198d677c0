"""What a run leaves: ``result.json``, or ``failed.json`` with the sentence; atomically."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avfeat.errors import AvfeatError
from avfeat.training.checkpoint import LAST
from avfeat.training.schema import EXACT, build
from avfeat.writers.atomic import atomic

RUNS = "runs"
RESULT = "result.json"
FAILED = "failed.json"
_LEFTOVERS = (LAST.parent.name, "tensorboard")
"""Of a run that is over: nothing needs them."""


class ResultError(AvfeatError):
    """A result that is none."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What is known of any run that is over.

    Attributes:
        key: of the run.
        seed: of the run.
        cells: table and cell that it was done for.
        recipe: resolved.
        machine: what it ran on.
    """

    __pydantic_config__ = EXACT

    key: str
    seed: int
    cells: tuple[tuple[str, str], ...]
    recipe: dict[str, Any]
    machine: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunResult(_Run):
    """A finished run.

    Attributes:
        data: the train clips, in facts.
        windows: of each clip that were probed.
        accuracy: on test, in [0, 1], by modality (``video``, ``audio``, ``av``).
        c: the chosen inverse strength of the probe's penalty, likewise.
        loss: mean of the last line of metrics.
        seconds: ``training`` and ``probing``.
        cost: work, see ``budget``: ``training`` and ``probing`` in frames.
        versions: of the code.
        revision: of the code.
    """

    data: dict[str, Any]
    windows: int
    accuracy: dict[str, float]
    c: dict[str, float]
    loss: float | None
    seconds: dict[str, float]
    cost: dict[str, float]
    versions: dict[str, str]
    revision: str


@dataclass(frozen=True, kw_only=True)
class RunFailure(_Run):
    """A run that gave no number: the training diverged, or its features cannot be probed.

    Attributes:
        message: why, in a sentence.
    """

    message: str


RunOutcome = RunResult | RunFailure


def write(folder: Path, outcome: RunOutcome) -> None:
    """Note how a run ended, and remove what only its training needed."""
    name = RESULT if isinstance(outcome, RunResult) else FAILED
    values = {key: _finite(value) for key, value in asdict(outcome).items()}
    with atomic(folder / name) as file:
        file.write((json.dumps(values, indent=2, allow_nan=False) + "\n").encode())
    clear(folder)


def clear(folder: Path) -> None:
    """Remove checkpoints and curves of a run that is over; what cannot be removed does no harm."""
    for name in _LEFTOVERS:
        with suppress(OSError):
            shutil.rmtree(folder / name)


def read(folder: Path) -> RunOutcome | None:
    """How a run ended; None while it has not.

    Raises:
        ResultError: the file is none that a study writes.
    """
    for name, kind in ((RESULT, RunResult), (FAILED, RunFailure)):
        path = folder / name
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ResultError(f"{path}: cannot be read ({error}).") from error
        return _parse(text, kind, path)
    return None


def read_all(out: Path) -> dict[str, RunOutcome]:
    """How all runs of a study ended, by key; unfinished ones are not in it.

    Raises:
        ResultError: a file that is none that a study writes.
    """
    folders = sorted(path for path in (out / RUNS).glob("*") if path.is_dir())
    found = {folder.name: read(folder) for folder in folders}
    return {key: outcome for key, outcome in found.items() if outcome is not None}


def _parse(text: str, kind: type[RunResult] | type[RunFailure], path: Path) -> RunOutcome:
    try:
        outcome: RunOutcome = build(kind, json.loads(text), path.name)
    except (ValueError, RecursionError) as error:
        raise ResultError(
            f"{path}: is not what a study writes ({error}); delete it, and the run is done again."
        ) from error
    if outcome.key != path.parent.name:
        raise ResultError(f"{path}: is of run {outcome.key}; copy whole folders of runs, under their own names.")
    return outcome


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
