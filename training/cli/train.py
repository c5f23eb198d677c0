"""``avfeat train``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from avfeat.cli.printing import facts, note, progress, table
from avfeat.errors import StoppedError
from avfeat.extras import extra_packages
from avfeat.training.cli.prepare import MAX_FAILED, MaxFailedOption, follow
from avfeat.training.cli.ranks import errors_once, leads

if TYPE_CHECKING:
    from avfeat.training.recipes import Recipe
    from avfeat.training.trainer import (
        Accuracy,
        Event,
        MetricsLogged,
        TrainingFinished,
        TrainingStarted,
        TrainingStopped,
    )

_DEFAULT = "mini"


def _list_recipes(value: bool) -> None:
    if not value:
        return
    with extra_packages("train"):
        from avfeat.training.recipes import list_recipes
    table(("recipe", "description"), list_recipes().items())
    raise typer.Exit


@errors_once()
def train(
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="Videos, as avfeat prepare takes them, or its cache."),
    ],
    run: Annotated[Path, typer.Option("-o", "--out", metavar="RUN", help="Folder of the training.")],
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="What to do; default: mini, or that of RUN to resume.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: optimizer.lr=0.01")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimizer.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Clips of a step, in all processes together.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that load clips.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(metavar="STEPS", help="From one to the next.")] = None,
    max_failed: MaxFailedOption = MAX_FAILED,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from RUN's checkpoint, if there is one.")] = False,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")] = "auto",
    list_recipes: Annotated[
        bool,
        typer.Option("--list-recipes", callback=_list_recipes, is_eager=True, help="Show them and exit."),
    ] = False,
) -> None:
    """Learn encoders of video and audio from videos without labels.

    avfeat train clips/ -o runs/one                                   the light default pair

    avfeat train 'synthetic:ave?videos=200' -o runs/demo --recipe smoke

    torchrun --nproc-per-node 8 -m avfeat train clips/ -o runs/big --recipe reference

    RUN gets checkpoints/last.pt, metrics.jsonl, TensorBoard's files, recipe.yaml and run.json. Ctrl-C saves first.
    """
    with extra_packages("train"):
        from avfeat.training.checkpoint import LAST
        from avfeat.training.data import open_or_prepare
        from avfeat.training.trainer import Teacher
        from avfeat.training.trainer import train as events
    named = {"steps": steps, "batch_size": batch_size, "seed": seed, "workers": workers}
    named["checkpoint_every"] = checkpoint_every
    given = [f"{name}={value}" for name, value in named.items() if value is not None]
    chosen = _recipe(recipe, run, resume, [*(changes or ()), *given])
    if resume and leads() and not (run / LAST).exists():
        note(f"note: {run} has no checkpoint yet; beginning with step 1")
    # One that cannot teach is told of now, not when all has been decoded.
    Teacher.from_recipe(chosen)
    # Of the processes of torchrun, one reads the clips to see whether they are whole.
    first = leads()
    cache = open_or_prepare(
        data, chosen.cache, max_failed=max_failed, follow=follow if first else None, verify=first
    )
    with closing(events(cache, data, run, chosen, resume=resume, device=device)) as happening:
        _show(happening, run, _again(data, run, max_failed), chosen.steps)


def _again(data: str, run: Path, max_failed: float) -> str:
    """The command that goes on with ``run``; the failures that were allowed have to be allowed again."""
    share = f" --max-failed {max_failed}" if max_failed != MAX_FAILED else ""
    return f"avfeat train {shlex.quote(data)} -o {shlex.quote(str(run))}{share} --resume"


def _recipe(name: str | None, run: Path, resume: bool, changes: list[str]) -> Recipe:
    from avfeat.training.recipes import load_recipe
    from avfeat.training.trainer.journal import RECIPE

    own = run / RECIPE
    if name is None and resume and own.exists():
        return load_recipe(str(own), changes)
    return load_recipe(name or _DEFAULT, changes)


def _show(events: Iterable[Event], run: Path, again: str, steps: int) -> None:
    """Print what happens, up to the end; only the first of several processes does."""
    from avfeat.training import trainer

    say = note if leads() else _silent
    with ExitStack() as stack:
        advance: Callable[[str], None] = _silent
        for event in events:
            match event:
                case trainer.TrainingStarted():
                    say(_announcement(event, steps))
                    if leads():
                        advance = stack.enter_context(progress("training", event.cost.steps))
                case trainer.StepDone():
                    advance("training")
                case trainer.MetricsLogged():
                    say(_line(event, steps))
                case trainer.WarningIssued():
                    say(f"warning: {event.message}")
                case trainer.TrainingStopped() if not leads():
                    raise typer.Exit(128 + event.signal)
                case trainer.TrainingStopped():
                    raise StoppedError(_describe_stop(event, again, steps), 128 + event.signal)
                case trainer.TrainingFinished() if leads():
                    _conclude(event, run)


def _silent(text: str) -> None:
    """Another process says it."""


def _announcement(event: TrainingStarted, steps: int) -> str:
    """What the training costs, before it starts."""
    cost = event.cost
    sizes = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in cost.parameters.items())
    processes = f" in {cost.processes} processes" if cost.processes > 1 else ""
    lines = [
        f"parameters: {sizes}",
        f"steps: {cost.steps} of {cost.batch_size} clips ({cost.epochs:.1f} epochs of {cost.clips} clips)",
        f"time: about {duration(cost.seconds)} on {cost.device}{processes}, estimated from 2 steps",
    ]
    if event.random_init is not None and event.chance is not None:
        found = f"{_accuracies(event.random_init)}; the majority class {event.chance:.3f}"
        lines.append(f"kNN accuracy before training: {found}")
    if event.step:
        lines.append(f"going on after step {event.step} of {steps}")
    return "\n".join(lines)


def _line(event: MetricsLogged, steps: int) -> str:
    """A line of metrics for people."""
    found = event.metrics
    parts = [f"step {found['step']:g}/{steps}", f"loss {found['loss']:.3f}"]
    parts += [f"{name} std {found[f'{name}_std']:.2f}" for name in ("video", "audio") if f"{name}_std" in found]
    if "knn" in found:
        parts.append(f"kNN {found['knn']:.3f} (random init {found['knn_random_init']:.3f})")
    parts += [f"{found['clips_per_second']:.1f} clips/s", f"{duration(event.remaining)} left"]
    return "  ".join(parts)


def _describe_stop(event: TrainingStopped, again: str, steps: int) -> str:
    return f"stopped after step {event.step} of {steps}, which {event.path} holds; resume with: {again}"


def _conclude(event: TrainingFinished, run: Path) -> None:
    """What came out, and what it took."""
    if not event.clips_per_second:
        note(f"{run}: up to date: all {event.steps} steps are done.")
    rows = {"steps": f"{event.steps}"}
    if event.accuracy is not None and event.random_init is not None:
        rows["kNN accuracy"] = _accuracies(event.accuracy)
        rows["random init"] = _accuracies(event.random_init)
    speed = f", {event.clips_per_second:.1f} clips/s" if event.clips_per_second else ""
    rows["time"] = duration(event.seconds) + speed
    if event.memory:
        rows["memory"] = f"{event.memory / 2**30:.1f} GiB at most"
    rows["checkpoint"] = str(event.path)
    facts(rows)
    note(f"next: avfeat export {shlex.quote(str(run))} -o {shlex.quote(run.resolve().name + '-bundle')}")


def _accuracies(found: Accuracy) -> str:
    return f"{found.both:.3f} (video {found.video:.3f}, audio {found.audio:.3f})"


def duration(seconds: float) -> str:
    """Seconds for people: ``48 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
