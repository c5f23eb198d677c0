"""The numbers of a study as CSV and JSON, written atomically."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from avfeat.training.study.load import to_values
from avfeat.training.study.measure import MODALITIES
from avfeat.training.study.results import RunOutcome, RunResult
from avfeat.training.study.statistics import Estimate
from avfeat.training.study.summary import Summary, SummaryRow
from avfeat.training.study.verdicts import Verdict, verdicts
from avfeat.writers.atomic import atomic

_RUN = ("key", "seed", "cells", "status", *MODALITIES, *(f"c_{name}" for name in MODALITIES))
_RUN_END = ("loss", "seconds_training", "seconds_probing", "device", "threads", "revision", "message")
_CELL = ("table", "kind", "cell", "family", "series", "x", "modality", "n", "mean", "low", "high", "failed")
_CELL_END = ("against", "gain_n", "gain", "gain_low", "gain_high")


def write_tables(out: Path, summary: Summary, outcomes: Mapping[str, RunOutcome]) -> None:
    """``results.csv``, one row a run; ``cells.csv``, one row a cell and modality. Accuracies are in [0, 1]."""
    _write(out / "results.csv", (*_RUN, *_RUN_END), [_run(outcomes[key]) for key in sorted(outcomes)])
    _write(out / "cells.csv", (*_CELL, *_CELL_END), [cell for row in summary.rows for cell in _cells(row)])


def as_json(summary: Summary, outcomes: Mapping[str, RunOutcome]) -> dict[str, Any]:
    """Everything that the page says, as JSON values with stable keys."""
    results = [one for one in outcomes.values() if isinstance(one, RunResult)]
    wanted = {run.key for run in summary.grid.runs}
    return {
        "plan": to_values(summary.grid.plan),
        "counts": {
            "runs": len(wanted),
            "finished": sum(one.key in wanted for one in results),
            "failed": sum(key in wanted and not isinstance(one, RunResult) for key, one in outcomes.items()),
        },
        "cells": [cell for row in summary.rows for cell in _cells(row)],
        "verdicts": [_verdict(one) for one in verdicts(summary)],
        "machines": sorted({str(one.machine.get("device")) for one in results}),
        "revisions": sorted({one.revision for one in results}),
        "seconds": sum(sum(one.seconds.values()) for one in results),
    }


def _verdict(one: Verdict) -> dict[str, Any]:
    return {"statement": one.statement, "verdict": one.word, "numbers": one.numbers, "paper": one.paper}


def _run(outcome: RunOutcome) -> dict[str, Any]:
    cells = "; ".join(f"{table}: {cell}" for table, cell in outcome.cells)
    machine = {name: outcome.machine.get(name) for name in ("device", "threads")}
    row: dict[str, Any] = {"key": outcome.key, "seed": outcome.seed, "cells": cells, **machine}
    if not isinstance(outcome, RunResult):
        return row | {"status": "failed", "message": outcome.message}
    row |= outcome.accuracy | {f"c_{name}": value for name, value in outcome.c.items()}
    row |= {f"seconds_{name}": round(value, 2) for name, value in outcome.seconds.items()}
    return row | {"status": "finished", "loss": outcome.loss, "revision": outcome.revision}


def _cells(row: SummaryRow) -> Iterator[dict[str, Any]]:
    place = row.place
    facts: dict[str, Any] = {"table": place.table, "kind": place.kind, "cell": row.name, "family": place.family}
    facts |= {"series": place.cell.series, "x": place.cell.x}
    for modality in MODALITIES:
        own, gain = row.mean(modality), row.mean_gain(modality)
        yield {
            **facts,
            "modality": modality,
            "failed": len(row.failed),
            **_numbers(own, ("n", "mean", "low", "high")),
            "against": None if row.is_baseline else row.against,
            **_numbers(gain, ("gain_n", "gain", "gain_low", "gain_high")),
        }


def _numbers(found: Estimate | None, names: Sequence[str]) -> dict[str, float | None]:
    values = (0, None, None, None) if found is None else (found.n, found.mean, found.low, found.high)
    return dict(zip(names, values, strict=True))


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{name: _shown(value) for name, value in row.items()} for row in rows])
    with atomic(path) as file:
        file.write(text.getvalue().encode())


def _shown(value: Any) -> Any:
    """Blank for what is not there; floats short enough to read and exact enough to compute with."""
    return f"{value:.6g}" if isinstance(value, float) else value
