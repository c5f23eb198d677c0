"""``avfeat embed``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from avfeat import job
from avfeat.backends import Backend, Device
from avfeat.cli.printing import note, table
from avfeat.embedding import Embedding
from avfeat.encoder import Encoder, load
from avfeat.errors import ArgumentError, MediaError
from avfeat.media import probe
from avfeat.writers import window_line


class OnError(StrEnum):
    """What a failed input does to the others."""

    skip = "skip"
    fail = "fail"


def embed(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT...", help="Files, folders (with all media files below), or - for stdin."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", help="A file, a folder, a table (.parquet, .jsonl), or - for JSON lines on stdout."
        ),
    ] = None,
    form: Annotated[
        job.Format | None, typer.Option("--format", help="Format of the outputs; npz if OUT does not tell.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A bundle; the one that ships with avfeat if none.")] = None,
    backend: Annotated[Backend, typer.Option(help="Which of the bundle's formats to run.")] = "onnx",
    hop: Annotated[
        float | None, typer.Option(help="Seconds between windows; the length of a window if none.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to run.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Files at a time; one a processor if none.")] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", metavar="FILE", help="A file with one input a line.")
    ] = None,
    on_error: Annotated[
        OnError, typer.Option(help="skip: note a failed input and go on; fail: stop at the first.")
    ] = OnError.skip,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo what an earlier run has done.")] = False,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Take every N-th input only, I from 1 to N.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Damaged media is a failure.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Embed videos: time-stamped audio and video vectors on one grid.

    avfeat embed video.mp4                  writes video.mp4.npz

    avfeat embed clips/ -o out --hop 1      a folder, a window every second

    avfeat embed video.mp4 -o - | head -1   JSON lines on stdout
    """
    paths = [*(inputs or []), *(_read_list(listed) if listed is not None else [])]
    if not paths:
        raise ArgumentError("Name at least one file or folder, - for stdin, or a --list.")
    on_stdout = out == "-"
    if on_stdout and form not in (None, "jsonl"):
        raise ArgumentError(f"Only jsonl can go to stdout, not {form}; give -o a file or a folder.")
    plan = job.make_plan(paths, "stdout/" if on_stdout else out, form, sys.stdin.buffer, _shard(shard))
    settings = job.Settings(hop=hop, strict=strict, workers=workers, overwrite=overwrite)
    with load(model, device=device, backend=backend) as encoder:
        encoder.check_times(hop)
        if dry_run:
            _show_plan(plan, encoder, settings, on_stdout)
            return
        if not encoder.bundle.trained:
            note(f"note: {encoder.bundle.name} is untrained: its weights are random, its vectors mean nothing yet.")
        failed = (
            _print_lines(plan, encoder, settings, on_error)
            if on_stdout
            else _write_files(plan, encoder, settings, on_error)
        )
    if failed:
        raise typer.Exit(1)


def _write_files(plan: job.Plan, encoder: Encoder, settings: job.Settings, on_error: OnError) -> bool:
    """Do the job under a progress bar; print what became of it; say whether anything failed."""
    done: list[job.Done] = []
    failed: list[job.Failed] = []
    skipped = 0
    begun = time.perf_counter()
    with _progress(len(plan.tasks)) as advance:
        for event in job.run(plan, encoder, settings):
            advance(event.task.name)
            if isinstance(event, job.Failed):
                note(f"error: {event.failure.message}")
                failed.append(event)
                if on_error is OnError.fail:
                    break
            elif isinstance(event, job.Done):
                done.append(event)
            else:
                skipped += 1
    job.write_failures(plan, failed)
    _show_results(plan, encoder, done, skipped, len(failed), time.perf_counter() - begun)
    return bool(failed)


def _print_lines(plan: job.Plan, encoder: Encoder, settings: job.Settings, on_error: OnError) -> bool:
    """JSON lines on stdout, each window as soon as it is there."""
    failed = False
    for task in plan.tasks:
        try:
            windows = encoder.stream(task.source, hop=settings.hop, strict=settings.strict)
            for index, window in enumerate(windows):
                sys.stdout.write(window_line(task.name, index, window) + "\n")
                sys.stdout.flush()
        except MediaError as error:
            note(f"error: {error}")
            failed = True
            if on_error is OnError.fail:
                break
    return failed


def _show_plan(plan: job.Plan, encoder: Encoder, settings: job.Settings, on_stdout: bool) -> None:
    rows = []
    for task in plan.tasks:
        state = "done before" if job.is_done(task, plan, encoder, settings) else "to do"
        output = "stdout" if on_stdout else str(task.output or plan.table)
        rows.append((task.name, _duration(task), state, output))
    table(("input", "duration", "state", "output"), rows)


def _duration(task: job.Task) -> str:
    if not isinstance(task.source, str):
        return "-"
    try:
        stated = probe(task.source).duration
    except MediaError as error:
        return error.reason
    return "-" if stated is None else f"{stated:.2f} s"


def _show_results(
    plan: job.Plan, encoder: Encoder, done: list[job.Done], skipped: int, failed: int, took: float
) -> None:
    media = sum(event.embedding.duration for event in done)
    if len(plan.tasks) == 1 and done:
        table(
            ("input", "duration", "windows", "video", "audio", "output"),
            [_row(plan, event.task, event.embedding) for event in done],
        )
    else:
        parts = [f"{len(done)} embedded"]
        parts += [f"{skipped} done before"] if skipped else []
        parts += [f"{failed} failed"] if failed else []
        where = plan.table or plan.folder
        print(f"{', '.join(parts)} -> {where}")
    if done:
        speed = f"{media / took:.0f} times real time" if took > 0 else ""
        print(f"{media:.1f} s of media in {took:.2f} s ({speed}) on {encoder.device} with {encoder.bundle.name}")


def _row(plan: job.Plan, task: job.Task, embedding: Embedding) -> tuple[str, ...]:
    return (
        task.name,
        f"{embedding.duration:.2f} s",
        f"{len(embedding)}",
        _shape(embedding.has_video.sum(), embedding.video.shape[1]),
        _shape(embedding.has_audio.sum(), embedding.audio.shape[1]),
        str(task.output or plan.table),
    )


def _shape(rows: int, width: int) -> str:
    return f"{rows} x {width}" if rows else "none"


@contextmanager
def _progress(total: int) -> Iterator[_Advance]:
    """A progress bar on stderr, if that is a terminal and there is more than one thing to do."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task("embedding", total=total)
        yield _Advance(bar, task)


class _Advance:
    """Moves the bar on by one."""

    def __init__(self, bar: Progress, task: object) -> None:
        self._bar = bar
        self._task = task

    def __call__(self, name: str) -> None:
        self._bar.update(self._task, advance=1, description=escape(Path(name).name))  # type: ignore[arg-type]


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"{path}: the list cannot be read ({getattr(error, 'strerror', error)}).") from error
    return [line for line in (line.strip() for line in lines) if line]


def _shard(text: str | None) -> tuple[int, int]:
    """``I/N`` as the index of the first input and the step; I runs from 1 to N, and 0 stands for N."""
    if text is None:
        return 0, 1
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 0 <= int(first) <= int(count) and int(count) > 0):
        raise ArgumentError(f"--shard must be I/N with I from 1 to N, such as 2/4, not {text!r}.")
    return (int(first) - 1) % int(count), int(count)


