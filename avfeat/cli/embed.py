"""``avfeat embed``."""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from avfeat import job
from avfeat.cli.options import BackendOption, DeviceOption, ModelOption, WorkersOption, shard_of
from avfeat.cli.printing import note, progress, table
from avfeat.embedding import Embedding, Failure
from avfeat.encoder import Encoder, load
from avfeat.errors import ArgumentError, MediaError, OutputError
from avfeat.media import probe
from avfeat.media.rules import MAX_PIXELS, RuleOptions, Rules
from avfeat.writers import FORMATS, window_line
from avfeat.writers.atomic import encode_line

_SUFFIXES_SHOWN = 6
# The longer ones first: UTF-32 begins as UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


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
            "-o",
            "--out",
            help="A file, a folder, a table (.jsonl, .parquet, .h5), an index (.lance), or - for stdout.",
        ),
    ] = None,
    form: Annotated[
        job.Format | None, typer.Option("--format", help="Format of the outputs; default: that of OUT, else npz.")
    ] = None,
    model: ModelOption = None,
    backend: BackendOption = "onnx",
    hop: Annotated[
        float | None, typer.Option(help="Seconds between windows; default: the length of a window.")
    ] = None,
    start: Annotated[
        float, typer.Option(help="Seconds at which the first window begins; before the media if negative.")
    ] = 0.0,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
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
    max_duration: Annotated[
        float | None, typer.Option(metavar="S", help="Media of more seconds are failures.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="S", help="A file that takes more seconds of work is a failure.")
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="Media with frames of more pixels are failures.")
    ] = MAX_PIXELS,
    audio_track: Annotated[
        int | None, typer.Option(metavar="N", help="Which audio track, from 0 on; default: the default track.")
    ] = None,
    video_track: Annotated[
        int | None, typer.Option(metavar="N", help="Which video track, from 0 on; default: the default track.")
    ] = None,
    still: Annotated[
        bool, typer.Option("--still", help="Embed still pictures, too, each as a video of one frame.")
    ] = False,
    playlist: Annotated[
        bool,
        typer.Option(
            "--playlist", help="Read HLS playlists (.m3u8) of files in their own folders, named themselves."
        ),
    ] = False,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate/--no-isolate",
            help="Decode many files in processes of their own: a decoder that crashes costs one file.",
        ),
    ] = True,
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
    on_stdout = out == job.STDOUT
    if on_stdout and getattr(sys.stdout, "name", None) == os.devnull:
        raise OutputError("stdout: is closed; give -o a file or a folder.")
    # As it is, below Python's buffer: who waits for it can be told to stop at any time.
    stdin = None if sys.stdin is None else getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    plan = job.make_plan(paths, out, form, stdin, shard_of(shard), still)
    rules = RuleOptions(
        max_pixels=max_pixels,
        max_duration=max_duration,
        timeout=timeout,
        audio_track=audio_track,
        video_track=video_track,
        still=still,
        playlist=playlist,
    )
    Rules(**rules)
    # A file alone is not worth the start of a process.
    many = plan.folder is not None or plan.table is not None
    settings = job.EmbedSettings(hop, start, strict, workers, overwrite, rules, isolate and many)
    with load(model, device=device, backend=backend) as encoder:
        encoder.check_times(hop, start)
        _say_what_is_left_out(plan)
        if dry_run:
            _show_plan(plan, encoder, settings, on_stdout)
            return
        if not encoder.bundle.trained:
            note(f"note: {encoder.bundle.name} has random weights: embeddings are not meaningful.")
        failed = (
            _print_lines(plan, encoder, settings, on_error)
            if on_stdout
            else _write_files(plan, encoder, settings, on_error)
        )
    if failed:
        raise typer.Exit(1)


def _say_what_is_left_out(plan: job.JobPlan) -> None:
    """A line on what in the folders is no media, by suffix; outputs of avfeat are not worth a word."""
    suffixes = Counter(path.suffix.lower() or "no suffix" for path in plan.left_out)
    for ours in FORMATS:
        del suffixes[f".{ours}"]
    if suffixes:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(_SUFFIXES_SHOWN))
        more = ", ..." if len(suffixes) > _SUFFIXES_SHOWN else ""
        note(f"note: left out as no media by suffix: {counts}{more}; name such files to have them embedded.")


def _write_files(plan: job.JobPlan, encoder: Encoder, settings: job.EmbedSettings, on_error: OnError) -> bool:
    """Do the job under a progress bar; print what became of it; say whether anything failed."""
    summary = _Summary(time.perf_counter())
    seen: list[job.TaskSkipped | job.TaskDone | job.TaskFailed] = []
    try:
        with progress("embedding", len(plan.tasks)) as advance, closing(job.run(plan, encoder, settings)) as events:
            for event in events:
                advance(Path(event.task.name).name)
                summary.add(event)
                # The vectors are written: of what is done, the name is enough.
                seen.append(job.TaskSkipped(event.task) if isinstance(event, job.TaskDone) else event)
                if isinstance(event, job.TaskFailed):
                    note(f"error: {event.failure.message}")
                    if on_error is OnError.fail:
                        break
    finally:
        # Also when the disk is full or somebody interrupts: no failure is forgotten.
        if seen:
            job.write_failures(plan, seen)
    summary.show(plan, encoder)
    return summary.failed > 0


def _print_lines(plan: job.JobPlan, encoder: Encoder, settings: job.EmbedSettings, on_error: OnError) -> bool:
    """JSON lines on stdout, each window as soon as it is there; say whether anything failed."""
    failed = False
    for task in plan.tasks:
        failure = _print_windows(task, encoder, settings)
        if failure is not None:
            note(f"error: {failure.message}")
            failed = True
            if on_error is OnError.fail:
                break
    return failed


def _print_windows(task: job.Task, encoder: Encoder, settings: job.EmbedSettings) -> Failure | None:
    if task.failure is not None:
        return task.failure
    try:
        windows = encoder.stream(
            task.source, hop=settings.hop, start=settings.start, strict=settings.strict, **settings.rules
        )
        for index, window in enumerate(windows):
            sys.stdout.buffer.write(encode_line(window_line(task.name, index, window)))
            sys.stdout.buffer.flush()
    except MediaError as error:
        return Failure.from_error(error)
    return None


def _show_plan(plan: job.JobPlan, encoder: Encoder, settings: job.EmbedSettings, on_stdout: bool) -> None:
    rows = []
    for task, done in zip(plan.tasks, job.done_before(plan, encoder, settings), strict=True):
        state = "up to date" if done else "pending"
        output = "stdout" if on_stdout else str(task.output or plan.table)
        rows.append((task.name, _duration(task, settings.rules), state, output))
    table(("input", "duration", "state", "output"), rows)


def _duration(task: job.Task, rules: RuleOptions) -> str:
    if task.failure is not None:
        return task.failure.reason
    if not isinstance(task.source, str):
        return "-"
    try:
        stated = probe(task.source, **rules).duration
    except MediaError as error:
        return error.reason
    return "-" if stated is None else f"{stated:.2f} s"


@dataclass
class _Summary:
    """What a job came to."""

    begun: float
    embedded: int = 0
    skipped: int = 0
    failed: int = 0
    media: float = 0.0
    last: job.TaskDone | None = None

    def add(self, event: job.TaskSkipped | job.TaskDone | job.TaskFailed) -> None:
        """Count one event."""
        if isinstance(event, job.TaskDone):
            self.embedded += 1
            self.media += event.embedding.duration
            self.last = event
        elif isinstance(event, job.TaskFailed):
            self.failed += 1
        else:
            self.skipped += 1

    def show(self, plan: job.JobPlan, encoder: Encoder) -> None:
        """Print it: a row for one file, a line for many."""
        took = time.perf_counter() - self.begun
        if len(plan.tasks) == 1 and self.last is not None:
            table(
                ("input", "duration", "windows", "video", "audio", "output"),
                [_row(plan, self.last.task, self.last.embedding)],
            )
        else:
            parts = [f"{self.embedded} embedded"]
            parts += [f"{self.skipped} up to date"] if self.skipped else []
            parts += [f"{self.failed} failed"] if self.failed else []
            where = plan.table or plan.folder
            print(", ".join(parts) + ("" if where is None else f" -> {where}"))
        if self.embedded:
            print(
                f"{self.media:.1f} s of media in {took:.2f} s ({self.media / took:.0f} times real time) "
                f"on {encoder.device} with {encoder.bundle.name}"
            )


def _row(plan: job.JobPlan, task: job.Task, embedding: Embedding) -> tuple[str, ...]:
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


def _read_list(path: Path) -> list[str]:
    """The lines of a list: UTF-8, or what its byte order mark says; bytes that are no text may be names, too."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArgumentError(f"{path}: the list cannot be read ({error.strerror}).") from error
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    try:
        text = data.decode(marked) if marked else data.decode("utf-8-sig", "surrogateescape")
    except UnicodeDecodeError as error:
        raise ArgumentError(
            f"{path}: the list is not {marked}, as its first bytes say; save it as UTF-8."
        ) from error
    if "\0" in text:
        raise ArgumentError(f"{path}: the list is not UTF-8; save it as UTF-8.")
    return [line for line in (line.rstrip("\r") for line in text.split("\n")) if line.strip()]
