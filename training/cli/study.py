"""``avfeat study``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from avfeat.cli.options import shard_of
from avfeat.cli.printing import JsonOption, facts, note, progress, table, write_json
from avfeat.errors import StoppedError
from avfeat.extras import extra_packages
from avfeat.training.cli.prepare import MAX_FAILED, MaxFailedOption, follow
from avfeat.training.cli.train import duration

if TYPE_CHECKING:
    from avfeat.training.study.study import Event, Planned, RunEnded, Study, StudyEnded

_DEFAULT = "default"


def _list_plans(value: bool) -> None:
    if not value:
        return
    with extra_packages("train"):
        from avfeat.training.study import list_plans
    table(("plan", "description"), list_plans().items())
    raise typer.Exit


def study(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="Folder of the study.")],
    data: Annotated[
        str | None,
        typer.Option(metavar="ROOT", help="An AVE root, or another source with splits; default: the plan's."),
    ] = None,
    plan: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="What to do; default: that of OUT, else default.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begin only what ends in time: 90s, 30m, 2h.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Random seeds of every cell; default: those of the plan.")
    ] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Do every N-th run only, I from 1 to N.")] = None,
    only: Annotated[str | None, typer.Option(metavar="TABLE,...", help="Do the runs of these tables only.")] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")] = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time, which share the processors.")] = 1,
    max_failed: MaxFailedOption = MAX_FAILED,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs and their time, and do nothing.")
    ] = False,
    draw: Annotated[bool, typer.Option("--draw", help="Read the results that are there, and draw them.")] = False,
    json: JsonOption = None,
    list_plans: Annotated[
        bool, typer.Option("--list-plans", callback=_list_plans, is_eager=True, help="Show them and exit.")
    ] = False,
) -> None:
    """Measure which augmentations make representations better: many small pretrainings, each probed.

    avfeat study -o study --budget 2h                    the synthetic dataset; re-run to resume

    avfeat study --data AVE_Dataset -o study             the paper's experiment

    avfeat study -o study --shard 1/2                    one half of it; copy runs/ of both together, then --draw

    OUT gets results.csv, cells.csv, study.json, study.md and figures/. Ctrl-C saves first.
    """
    with extra_packages("train"):
        from avfeat.training.study.budget import duration_of
        from avfeat.training.study.load import NAME, load_plan
        from avfeat.training.study.study import Options, Study
    own = out / NAME
    loaded = load_plan(plan or (str(own) if own.exists() else _DEFAULT), data)
    options = Options(
        budget=None if budget is None else duration_of(budget),
        seeds=seeds,
        part=shard_of(shard),
        only=tuple(name for name in (only or "").split(",") if name),
        device=device,
        jobs=jobs,
        max_failed=max_failed,
    )
    asked = Study(loaded, out, options)
    if dry_run:
        _list_runs(asked.planned(), jobs)
    elif draw:
        _conclude(asked, known=True, json=json)
    else:
        _run(asked, json)


def _list_runs(planned: Planned, jobs: int) -> None:
    from avfeat.training.study.results import RunFailure

    rows = []
    for run in planned.runs:
        outcome = planned.outcomes.get(run.key)
        state = "left" if outcome is None else "failed" if isinstance(outcome, RunFailure) else "done"
        time = duration(planned.seconds[run.key]) if run.key in planned.seconds else ""
        rows.append((run.key, state, f"{run.seed}", time, "; ".join(f"{name}: {cell}" for name, cell in run.cells)))
    table(("run", "state", "seed", "time", "cells"), rows)
    note(_announcement(planned, jobs))


def _announcement(planned: Planned, jobs: int) -> str:
    left = planned.left
    took = duration(sum(planned.seconds.values()) / jobs)
    return f"runs: {len(planned.runs)}, done: {len(planned.runs) - len(left)}, left: {len(left)}, about {took}"


def _run(asked: Study, json: str | None) -> None:
    with closing(asked.run(follow)) as events:
        over = _show(events, asked)
    failed = _conclude(asked, known=False, json=json)
    if over.left:
        left = f"runs left: {len(over.left)}, about {duration(over.seconds / asked.options.jobs)}"
        if over.signal:
            raise StoppedError(f"stopped; {left}; re-run to resume", 128 + over.signal)
        note(f"{'the next run does not fit the budget; ' if over.short else ''}{left}; re-run to resume")
    if failed:
        raise typer.Exit(1)


def _show(events: Iterable[Event], asked: Study) -> StudyEnded:
    """Print what happens, up to the end."""
    from avfeat.training.study.study import Planned, RunBegan, RunBusy, RunEnded, StudyEnded

    with ExitStack() as stack:
        advance: Callable[[str], None] = note
        for event in events:
            match event:
                case Planned():
                    note(_announcement(event, asked.options.jobs))
                    advance = stack.enter_context(progress("study", len(event.left)))
                case RunBegan():
                    pass
                case RunBusy():
                    note(f"note: another process is at run {event.run.key}; it is left to that one")
                case RunEnded():
                    note(_line(event))
                    advance("study")
                case StudyEnded():
                    return event
    raise AssertionError("the last event is Over")


def _line(event: RunEnded) -> str:
    """A run for people."""
    from avfeat.training.study.results import RunFailure

    run, outcome = event.run, event.outcome
    where = f"{': '.join(run.cells[-1])}, seed {run.seed}"
    if isinstance(outcome, RunFailure):
        return f"warning: {where}: failed: {outcome.message}"
    found = outcome.accuracy
    numbers = f"{found['av']:.3f} (video {found['video']:.3f}, audio {found['audio']:.3f})"
    return f"{where}  accuracy {numbers}  {duration(sum(outcome.seconds.values()))}"


def _conclude(asked: Study, known: bool, json: str | None) -> int:
    """Write everything, and say what the numbers say; gives the number of failed runs."""
    values = asked.publish(asked.grid(known))
    counts = values["counts"]
    if json is not None:
        write_json(values, json)
    if json != "-":
        facts({"runs": f"{counts['finished']} of {counts['runs']} finished, {counts['failed']} failed"})
        table(("statement", "verdict"), [(one["statement"], one["verdict"]) for one in values["verdicts"]])
        facts({"page": str(asked.out / "study.md")})
    return int(counts["failed"])
