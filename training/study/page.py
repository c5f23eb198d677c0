"""The study as one Markdown page: plan, verdicts, tables and figures; a cell that was not run is blank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from avfeat.training.study.figures import FOLDER, of_table
from avfeat.training.study.measure import MODALITIES
from avfeat.training.study.results import RunFailure, RunOutcome, RunResult
from avfeat.training.study.statistics import Estimate
from avfeat.training.study.summary import Summary, SummaryRow
from avfeat.training.study.verdicts import verdicts
from avfeat.writers.atomic import atomic

NAME = "study.md"
_COLUMNS = ("cell", "family", "seeds", *MODALITIES, "gain over", "gain, av")


def write_page(out: Path, summary: Summary, outcomes: Mapping[str, RunOutcome], figures: Sequence[str]) -> None:
    """Write ``study.md``.

    Args:
        out: folder of the study.
        summary: of all cells.
        outcomes: of all runs.
        figures: names of the figures that were drawn.
    """
    lines = [*_head(summary, outcomes), *_verdicts(summary)]
    for name in dict.fromkeys(row.place.table for row in summary.rows):
        lines += _table(summary, name, figures)
    lines += _failures(summary, outcomes)
    with atomic(out / NAME) as file:
        file.write(("\n".join(lines).rstrip() + "\n").encode())


def _head(summary: Summary, outcomes: Mapping[str, RunOutcome]) -> Iterator[str]:
    plan, base = summary.grid.plan, summary.baseline.place.recipe
    spec = base.encoders
    runs = summary.grid.runs
    done = [outcomes[run.key] for run in runs if run.key in outcomes]
    finished = [one for one in done if isinstance(one, RunResult)]
    yield "# Augmentation study"
    yield ""
    yield (
        f"{plan.description[:1].upper()}{plan.description[1:]}."
        if plan.description
        else "Measured by avfeat study."
    )
    yield ""
    yield f"- Data: `{plan.data}`{_clips(finished)}"
    yield (
        f"- Base: `{spec.video}` and `{spec.audio}`, {spec.seconds:g} s at {spec.fps} frames/s and {spec.size} px; "
        f"{base.objective.name}, {base.steps} steps of {base.batch_size} clips"
    )
    yield (
        f"- Probe: mean of {plan.windows} windows a clip; StandardScaler and multinomial logistic regression on "
        "train, C by val, accuracy on test"
    )
    failed = f", {len(done) - len(finished)} failed" if len(done) > len(finished) else ""
    yield f"- Runs: {len(finished)} of {len(runs)} finished{failed}; blank cells were not run"
    for machine in sorted({_machine(one) for one in finished}):
        yield f"- Machine: {machine}"
    yield ""
    yield (
        "Accuracies and gains are in percent, means over seeds with 95 % t-intervals (none of a single seed); "
        "gains are paired by seed; av is audio + video. An interval is about seeds, not about other data."
    )
    yield ""


def _machine(one: RunResult) -> str:
    known = one.machine
    return f"{known.get('device')}, {known.get('cores')} cores, {known.get('threads')} of them a run"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _clips(finished: Sequence[RunResult]) -> str:
    return f", {finished[0].data['clips']} clips to train on" if finished else ""


def _verdicts(summary: Summary) -> Iterator[str]:
    yield "## What the paper says, and what was measured"
    yield ""
    rows = [
        (one.statement if one.paper else f"(our own question) {one.statement}", f"**{one.word}**", one.numbers)
        for one in verdicts(summary)
    ]
    yield from _lines(("statement", "verdict", "numbers: audio + video"), rows)
    yield ""


def _table(summary: Summary, name: str, figures: Sequence[str]) -> Iterator[str]:
    table = next((one for one in summary.grid.plan.tables if one.name == name), None)
    yield f"## {name[:1].upper()}{name[1:]}"
    yield ""
    if table is not None and table.description:
        yield _sentence(table.description)
        yield ""
    for figure in of_table(name):
        if figure in figures:
            yield f"![{name}]({FOLDER}/{figure})"
            yield ""
    yield from _lines(_COLUMNS, [_row(row) for row in summary.table(name)])
    yield ""


def _row(row: SummaryRow) -> tuple[str, ...]:
    numbers = [shown(row.mean(modality)) for modality in MODALITIES]
    failed = f" ({len(row.failed)} failed)" if row.failed else ""
    count = len(row.accuracy["av"])
    against = "" if row.is_baseline else row.against
    return (
        row.name,
        row.place.family,
        f"{count or ''}{failed}".strip(),
        *numbers,
        against,
        shown(row.mean_gain(), signed=True),
    )


def shown(found: Estimate | None, signed: bool = False) -> str:
    """``12.3 (10.1 to 14.5)`` in percent; blank where nothing is known."""
    if found is None:
        return ""
    form = "+.1f" if signed else ".1f"
    text = f"{100 * found.mean:{form}}"
    if found.low is None or found.high is None:
        return text
    return f"{text} ({100 * found.low:{form}} to {100 * found.high:{form}})"


def _failures(summary: Summary, outcomes: Mapping[str, RunOutcome]) -> Iterator[str]:
    failed = [outcomes[run.key] for run in summary.grid.runs if isinstance(outcomes.get(run.key), RunFailure)]
    if not failed:
        return
    yield "## Failed runs"
    yield ""
    for one in failed:
        assert isinstance(one, RunFailure)
        yield f"- {', '.join(cell for _, cell in one.cells)}, seed {one.seed}: {one.message}"
    yield ""


def _lines(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
