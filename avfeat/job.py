"""Batch jobs: many inputs to many outputs, resumable, with every failure accounted for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from avfeat.embedding import Embedding, Failure
from avfeat.encoder import Encoder
from avfeat.errors import ArgumentError, OutputError
from avfeat.media import Source
from avfeat.media.source import MEDIA_SUFFIXES
from avfeat.writers import FORMATS, embedding_lines, write_parquet_table
from avfeat.writers.atomic import atomic
from avfeat.writers.journal import Journal

Format = Literal["npz", "npy", "jsonl", "parquet", "h5"]
TABLES = (".parquet", ".jsonl")
FAILURES = "failures.jsonl"


@dataclass(frozen=True)
class Task:
    """One input, by the name that messages use, and the file for its embedding (None: rows of a table)."""

    source: Source
    name: str
    output: Path | None


@dataclass(frozen=True)
class Plan:
    """What a job is to do.

    Attributes:
        tasks: inputs in order.
        format: of the outputs.
        table: the one table that all go to, or None for a file each.
        folder: the folder of a job of many files, where ``failures.jsonl`` belongs; None otherwise.
    """

    tasks: tuple[Task, ...]
    format: Format
    table: Path | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Settings:
    """How every input is embedded."""

    hop: float | None = None
    strict: bool = False
    workers: int | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Skipped:
    """A task that an earlier run did with the same bundle and settings."""

    task: Task


@dataclass(frozen=True)
class Done:
    """A task whose output is written."""

    task: Task
    embedding: Embedding


@dataclass(frozen=True)
class Failed:
    """A task that gave no output."""

    task: Task
    failure: Failure


@dataclass(frozen=True)
class _Input:
    source: Source
    name: str
    relative: str


def make_plan(
    inputs: Iterable[str],
    out: str | None = None,
    form: Format | None = None,
    stdin: IO[bytes] | None = None,
    shard: tuple[int, int] = (0, 1),
) -> Plan:
    """Lay out a job before any work.

    Args:
        inputs: files, folders (taken with all media files below them), and ``-`` for ``stdin``.
        out: a file, a folder, a table (``.parquet``, ``.jsonl``), or None for the current folder.
        form: format of the outputs; None for the one that ``out`` names, else npz.
        stdin: what ``-`` stands for.
        shard: ``(i, n)``: every n-th input, from the i-th on (modulo n).

    Raises:
        ArgumentError: no input, contradicting outputs, or two inputs that would share an output.
    """
    given = list(inputs)
    found = [item for path in given for item in _expand(path, stdin)]
    if not found:
        raise ArgumentError(f"No media file in {', '.join(given) or 'the list'}; name files or folders.")
    alone = len(given) == 1 and not Path(given[0]).is_dir()
    if alone and out is not None and not Path(out).is_dir() and not out.endswith("/"):
        task = Task(found[0].source, found[0].name, Path(out))
        return Plan((task,), _format(form, Path(out)))
    index, count = shard
    mine = slice(index % count, None, count)
    if not alone and out is not None and Path(out).suffix in TABLES:
        tasks = [Task(item.source, item.name, None) for item in found]
        return Plan(tuple(tasks[mine]), _format(form, Path(out)), table=Path(out))
    chosen: Format = form or "npz"
    folder = Path(out or ".")
    tasks = [Task(item.source, item.name, folder / f"{item.relative}.{chosen}") for item in found]
    _refuse_shared(tasks)
    return Plan(tuple(tasks[mine]), chosen, folder=None if alone else folder)


def run(plan: Plan, encoder: Encoder, settings: Settings) -> Iterator[Skipped | Done | Failed]:
    """Do the job; yield what became of each task, in order. Stop early by closing the generator.

    Raises:
        OutputError: an output cannot be written.
        BackendError: the format needs a package that is not installed.
    """
    check = FORMATS[plan.format].check
    if check is not None:
        check()
    encoder.check_times(settings.hop)
    if plan.table is not None:
        yield from _run_table(plan, plan.table, encoder, settings)
    else:
        yield from _run_files(plan, encoder, settings)


def is_done(task: Task, plan: Plan, encoder: Encoder, settings: Settings) -> bool:
    """Whether an earlier run wrote the task's output, whole, with this bundle and these settings."""
    output = task.output
    if output is None or plan.folder is None or settings.overwrite or not output.is_file():
        return False
    if _newer(task.source, output):
        return False
    read = FORMATS[plan.format].read_meta
    found = read(output) if read is not None else Journal(plan.folder).read(output)
    hop = encoder.bundle.seconds if settings.hop is None else settings.hop
    return found is not None and found.get("bundle") == encoder.bundle.sha256 and found.get("hop") == hop


def write_failures(plan: Plan, failed: Iterable[Failed]) -> None:
    """Bring ``failures.jsonl`` up to date: this job's failures, and those of inputs that it did not touch."""
    if plan.folder is None:
        return
    path = plan.folder / FAILURES
    touched = {task.name for task in plan.tasks}
    lines = [line for line in _lines(path) if _source_of(line) not in touched]
    for item in failed:
        failure = item.failure
        row = {"source": failure.source, "reason": failure.reason, "message": failure.message}
        lines.append(json.dumps(row, ensure_ascii=False))
    if not lines:
        path.unlink(missing_ok=True)
        return
    with atomic(path) as file:
        file.writelines(line.encode() + b"\n" for line in lines)


def _run_files(plan: Plan, encoder: Encoder, settings: Settings) -> Iterator[Skipped | Done | Failed]:
    waiting = []
    for task in plan.tasks:
        if is_done(task, plan, encoder, settings):
            yield Skipped(task)
        else:
            waiting.append(task)
    form = FORMATS[plan.format]
    journal = Journal(plan.folder) if plan.folder is not None and form.read_meta is None else None
    for task, result in zip(waiting, _embed(waiting, encoder, settings), strict=True):
        if isinstance(result, Failure):
            yield Failed(task, result)
            continue
        assert task.output is not None
        form.write(task.output, result)
        if journal is not None:
            journal.note(task.output, result)
        yield Done(task, result)


def _run_table(plan: Plan, table: Path, encoder: Encoder, settings: Settings) -> Iterator[Done | Failed]:
    """All rows into one table, which appears when the last of them is written."""
    events: list[Done | Failed] = []

    def embeddings() -> Iterator[Embedding]:
        for task, result in zip(plan.tasks, _embed(plan.tasks, encoder, settings), strict=True):
            if isinstance(result, Failure):
                events.append(Failed(task, result))
            else:
                events.append(Done(task, result))
                yield result

    if plan.format == "parquet":
        write_parquet_table(table, embeddings())
    else:
        with atomic(table) as file:
            for embedding in embeddings():
                file.writelines(line.encode() + b"\n" for line in embedding_lines(embedding))
    yield from events


def _embed(
    tasks: Iterable[Task], encoder: Encoder, settings: Settings
) -> Iterator[Embedding | Failure]:
    return encoder.embed_many(
        (task.source for task in tasks), hop=settings.hop, strict=settings.strict, workers=settings.workers
    )


def _expand(path: str, stdin: IO[bytes] | None) -> Iterator[_Input]:
    """One argument as inputs; a folder gives its media files, hidden ones left out, in a fixed order."""
    if path == "-":
        if stdin is None:
            raise ArgumentError("There is no standard input to read '-' from.")
        yield _Input(stdin, "<stdin>", "stdin")
        return
    if not Path(path).is_dir():
        yield _Input(path, path, Path(path).name)
        return
    for base, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if Path(name).suffix.lower() in MEDIA_SUFFIXES and not name.startswith("."):
                full = Path(base) / name
                yield _Input(str(full), str(full), str(full.relative_to(path)))


def _format(form: Format | None, out: Path) -> Format:
    """The format that ``--format`` and the output's suffix agree on."""
    suffix = out.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        return form or "npz"
    if form is not None and form != suffix:
        raise ArgumentError(f"{out}: its suffix contradicts --format {form}; drop one of them.")
    return cast(Format, suffix)


def _refuse_shared(tasks: Iterable[Task]) -> None:
    seen: dict[Path | None, str] = {}
    for task in tasks:
        if task.output in seen:
            raise ArgumentError(
                f"{task.name} and {seen[task.output]} would share the output {task.output}; "
                "give them in separate calls or as a folder."
            )
        seen[task.output] = task.name


def _newer(source: Source, output: Path) -> bool:
    """Whether the input has changed since the output was written; a missing one is for the embedding to say."""
    try:
        return isinstance(source, str) and Path(source).stat().st_mtime > output.stat().st_mtime
    except OSError:
        return True


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}).") from error


def _source_of(line: str) -> str | None:
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found.get("source") if isinstance(found, dict) else None

