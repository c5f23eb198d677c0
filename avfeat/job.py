"""Batch jobs: many inputs to many outputs, resumable, with every failure accounted for."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal, cast

from avfeat.datasets.files import walk
from avfeat.embedding import Embedding, Failure
from avfeat.encoder import Encoder
from avfeat.errors import ArgumentError, FullDiskError, OutputError
from avfeat.grid import MICROSECONDS, microseconds
from avfeat.lock import hold_lock
from avfeat.media import Source
from avfeat.media.rules import TRACKS, RuleOptions, Rules
from avfeat.media.source import MEDIA_SUFFIXES, STILL_SUFFIXES, is_special
from avfeat.stamp import Stamp, unchanged
from avfeat.writers import FORMATS
from avfeat.writers.atomic import PREFIX, atomic, encode_line, sweep, writing
from avfeat.writers.journal import OutputJournal
from avfeat.writers.lance import INDEX, file_key, import_lancedb, index_metas, open_index

Format = Literal["npz", "npy", "jsonl", "parquet", "h5"]
TABLES = tuple(f".{name}" for name, form in FORMATS.items() if form.table is not None)
STDOUT = "-"
FAILURES = "failures.jsonl"
_PATIENCE = 60.0
"""Seconds to wait for others that bring the failures of the same folder up to date."""
# Who names such a file does not mean a folder.
_FILES = "7z arrow avro bin csv db feather gz hdf hdf5 htm html json mat ndjson npzs ods orc pickle pkl pq pt pth"
_MORE_FILES = "safetensors sqlite tar tfrecord tgz tsv txt xls xlsx xml yaml yml zip zst"
_NO_FOLDERS = frozenset(f".{suffix}" for suffix in f"{_FILES} {_MORE_FILES}".split())
_NO_FOLDERS |= MEDIA_SUFFIXES | STILL_SUFFIXES


@dataclass(frozen=True)
class Task:
    """One input, by the name that messages use, and the file for its embedding (None: rows of a table).

    ``failure``: why it cannot be embedded, where that is known before.
    """

    source: Source
    name: str
    output: Path | None
    failure: Failure | None = None


@dataclass(frozen=True)
class JobPlan:
    """What a job is to do.

    Attributes:
        tasks: inputs in order.
        format: of the outputs.
        table: the one table, or index (format ``lance``), that all go to; None for a file each.
        folder: the folder of a job of many files, where ``failures.jsonl`` belongs; None otherwise.
        left_out: the files in the folders that are not taken for media.
        folders: those among the inputs.
    """

    tasks: tuple[Task, ...]
    format: Format | Literal["lance"]
    table: Path | None = None
    folder: Path | None = None
    left_out: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class EmbedSettings:
    """How every input is embedded."""

    hop: float | None = None
    start: float = 0.0
    strict: bool = False
    workers: int | None = None
    overwrite: bool = False
    rules: RuleOptions = field(default_factory=RuleOptions)
    isolate: bool = False


@dataclass(frozen=True)
class TaskSkipped:
    """A task that an earlier run did with the same bundle and settings."""

    task: Task


@dataclass(frozen=True)
class TaskDone:
    """A task whose output is written."""

    task: Task
    embedding: Embedding


@dataclass(frozen=True)
class TaskFailed:
    """A task that gave no output."""

    task: Task
    failure: Failure


@dataclass(frozen=True)
class _Input:
    source: Source
    name: str
    relative: str
    failure: Failure | None = None

    def task(self, output: Path | None = None) -> Task:
        """What is to be done with it."""
        return Task(self.source, self.name, output, self.failure)


def make_plan(
    inputs: Iterable[str],
    out: str | None = None,
    form: Format | None = None,
    stdin: IO[bytes] | None = None,
    shard: tuple[int, int] = (0, 1),
    still: bool = False,
) -> JobPlan:
    """Lay out a job before any work.

    Args:
        inputs: files, folders (taken with all media files below them), and ``-`` for ``stdin``.
        out: a folder; for one input a file with the suffix of a format; for several a table (``.jsonl``,
            ``.parquet``, ``.h5``); an index (``.lance``); ``-`` for stdout; or None for the current folder.
        form: format of the outputs; None for the one that ``out`` names, else npz.
        stdin: what ``-`` stands for.
        shard: ``(i, n)``: every n-th input, from the i-th on (modulo n).
        still: still pictures in folders are taken, too.

    Raises:
        ArgumentError: no input, contradicting outputs, or two inputs that would share an output.
        MediaError: a folder that cannot be read.
    """
    given = list(inputs)
    if not given:
        raise ArgumentError("Name at least one file or folder.")
    left_out: list[Path] = []
    suffixes = MEDIA_SUFFIXES | STILL_SUFFIXES if still else MEDIA_SUFFIXES
    found = [item for path in given for item in _expand(path, stdin, suffixes, left_out)]
    plan = _laid_out(found, len(given) == 1 and not _is_dir(given[0]), out, form)
    index, count = shard
    folders = tuple(Path(path) for path in given if path != STDOUT and _is_dir(path))
    return replace(plan, tasks=plan.tasks[index % count :: count], left_out=tuple(left_out), folders=folders)


def _laid_out(found: Sequence[_Input], alone: bool, out: str | None, form: Format | None) -> JobPlan:
    """The plan for all inputs; ``alone``: it is one file."""
    if out == STDOUT:
        if form not in (None, "jsonl"):
            raise ArgumentError(f"Only jsonl can go to stdout, not {form}; give -o a file or a folder.")
        return JobPlan(tuple(item.task() for item in found), "jsonl")
    if out is not None and Path(out).suffix.lower() == INDEX:
        if form is not None:
            raise ArgumentError(f"{out}: is an index; its suffix contradicts --format {form}; drop one of them.")
        return JobPlan(tuple(item.task() for item in found), "lance", table=Path(out))
    suffix = "" if out is None or _is_dir(out) else Path(out).suffix.lower()
    if out is not None and suffix.removeprefix(".") in FORMATS:
        if alone:
            return JobPlan((found[0].task(Path(out)),), _format(form, Path(out)))
        if suffix not in TABLES:
            tables = " or ".join(TABLES)
            raise ArgumentError(f"{out}: one table for many inputs is {tables}; or give a folder.")
        return JobPlan(tuple(item.task() for item in found), _format(form, Path(out)), table=Path(out))
    if suffix in _NO_FOLDERS and not str(out).endswith("/"):
        names = ", ".join(f".{name}" for name in FORMATS)
        raise ArgumentError(f"{out}: no output is called {suffix}; give a folder, or a name that ends in {names}.")
    chosen: Format = form or "npz"
    folder = Path(out or ".")
    tasks = [item.task(folder / f"{item.relative}.{chosen}") for item in found]
    _refuse_shared(tasks)
    # One file needs no list of failures; a folder without media leaves none where nobody expects it.
    listed = out is not None or not (alone or all(item.failure for item in found))
    return JobPlan(tuple(tasks), chosen, folder=folder if listed else None)


def run(
    plan: JobPlan, encoder: Encoder, settings: EmbedSettings
) -> Generator[TaskSkipped | TaskDone | TaskFailed, None, None]:
    """Do the job; yield what became of each task: those that are up to date, then the pending ones in order.

    Closing the generator stops the job; a table then does not appear.

    Raises:
        OutputError: an output cannot be written.
        BackendError: the format needs a package that is not installed.
    """
    check = import_lancedb if plan.format == "lance" else FORMATS[plan.format].check
    if check is not None:
        check()
    encoder.check_times(settings.hop, settings.start)
    if plan.table is not None and plan.format == "lance":
        yield from _run_index(plan, plan.table, encoder, settings)
    elif plan.table is not None:
        yield from _run_table(plan, plan.table, encoder, settings)
    else:
        yield from _run_files(plan, encoder, settings)


def done_before(plan: JobPlan, encoder: Encoder, settings: EmbedSettings) -> list[bool]:
    """For each task, whether an earlier run wrote its output: whole, of this input, bundle and settings."""
    if settings.overwrite or (plan.folder is None and plan.format != "lance"):
        return [False] * len(plan.tasks)
    if plan.format == "lance":
        assert plan.table is not None
        known = index_metas(plan.table)
        return [_is_as_stated(task, known.get(_key(task)), encoder, settings) for task in plan.tasks]
    assert plan.folder is not None
    read = FORMATS[plan.format].read_meta or OutputJournal(plan.folder).read
    return [_is_done(task, read, encoder, settings) for task in plan.tasks]


def write_failures(plan: JobPlan, events: Iterable[TaskSkipped | TaskDone | TaskFailed]) -> None:
    """Bring ``failures.jsonl`` up to date: the failures among ``events``, and those of other inputs as before.

    Raises:
        BusyError: others did so for a minute.
        OutputError: it cannot be read or written.
    """
    if plan.folder is None:
        return
    seen = list(events)
    with hold_lock(plan.folder / f"{PREFIX}{FAILURES}.lock", _PATIENCE):
        _merge_failures(plan.folder / FAILURES, seen)


def _merge_failures(path: Path, seen: Iterable[TaskSkipped | TaskDone | TaskFailed]) -> None:
    touched = {event.task.name for event in seen}
    lines = [line for line in _lines(path) if _source_of(line) not in touched]
    for event in seen:
        if isinstance(event, TaskFailed):
            failure = event.failure
            row = {"source": failure.source, "reason": failure.reason, "message": failure.message}
            lines.append(json.dumps(row, ensure_ascii=False))
    if not lines:
        path.unlink(missing_ok=True)
        return
    with atomic(path) as file:
        file.writelines(encode_line(line) for line in lines)


def _run_files(
    plan: JobPlan, encoder: Encoder, settings: EmbedSettings
) -> Iterator[TaskSkipped | TaskDone | TaskFailed]:
    for folder in dict.fromkeys(task.output.parent for task in plan.tasks if task.output is not None):
        sweep(folder)
    pending = yield from _skip_done(plan, encoder, settings)
    if plan.folder is not None and pending:
        # If this cannot be, nothing can be written at all.
        with writing(plan.folder):
            plan.folder.mkdir(parents=True, exist_ok=True)
    form = FORMATS[plan.format]
    journal = OutputJournal(plan.folder) if plan.folder is not None and form.read_meta is None else None
    # Closed here: what stops the work must not come while a finalizer waits for it, where it would be ignored.
    with closing(_embed(pending, encoder, settings)) as results:
        for task, result in zip(pending, results, strict=True):
            if isinstance(result, Embedding):
                failure = _write(plan, journal, task, result)
                yield TaskDone(task, result) if failure is None else TaskFailed(task, failure)
            else:
                yield TaskFailed(task, result)


def _skip_done(
    plan: JobPlan, encoder: Encoder, settings: EmbedSettings
) -> Generator[TaskSkipped, None, list[Task]]:
    """Yield the tasks that are up to date; return the pending ones."""
    pending = []
    for task, done in zip(plan.tasks, done_before(plan, encoder, settings), strict=True):
        if done:
            yield TaskSkipped(task)
        else:
            pending.append(task)
    return pending


def _write(plan: JobPlan, journal: OutputJournal | None, task: Task, result: Embedding) -> Failure | None:
    """Write one output; among many, one that cannot be written is a failure of its own."""
    assert task.output is not None
    try:
        FORMATS[plan.format].write(task.output, result)
        if journal is not None:
            journal.note(task.output, result)
    except OutputError as error:
        if plan.folder is None or isinstance(error, FullDiskError):
            raise
        return Failure(task.name, "unwritable", f"{task.name}: its output {error}")
    return None


def _run_table(
    plan: JobPlan, table: Path, encoder: Encoder, settings: EmbedSettings
) -> Iterator[TaskDone | TaskFailed]:
    """All rows into one table, which appears when the last of them is written, if there is any."""
    sweep(table.parent)
    open_table = FORMATS[plan.format].table
    assert open_table is not None
    with open_table(table) as add, closing(_embed(plan.tasks, encoder, settings)) as results:
        for task, result in zip(plan.tasks, results, strict=True):
            if isinstance(result, Failure):
                yield TaskFailed(task, result)
            else:
                add(result)
                yield TaskDone(task, result)


def _run_index(
    plan: JobPlan, path: Path, encoder: Encoder, settings: EmbedSettings
) -> Iterator[TaskSkipped | TaskDone | TaskFailed]:
    """Bring an index up to date: what failed or is gone has no rows in it any more."""
    with open_index(path, encoder.bundle.sha256, [_key(task) for task in plan.tasks], plan.folders) as index:
        pending = yield from _skip_done(plan, encoder, settings)
        with closing(_embed(pending, encoder, settings, stamped=True)) as results:
            for task, result in zip(pending, results, strict=True):
                if isinstance(result, Failure):
                    index.remove(_key(task))
                    yield TaskFailed(task, result)
                else:
                    index.put(_key(task), result)
                    yield TaskDone(task, result)


def _key(task: Task) -> str:
    """By what an index knows an input, wherever the command is run: the whole path of a file."""
    return file_key(task.source) if isinstance(task.source, str) else task.name


def _embed(
    tasks: Iterable[Task], encoder: Encoder, settings: EmbedSettings, stamped: bool = False
) -> Generator[Embedding | Failure, None, None]:
    """What becomes of each task, in order; closing it stops the work at once."""
    waiting = list(tasks)
    stamps: deque[Stamp | None] = deque()

    def sources() -> Iterator[Source]:
        for task in waiting:
            if task.failure is None:
                # Only outputs of their own, and indexes, say what they were made from.
                kept = stamped or task.output is not None
                file = task.source if kept and isinstance(task.source, str) else None
                stamps.append(None if file is None else Stamp.of(file))
                yield task.source

    results = encoder.embed_many(
        sources(),
        hop=settings.hop,
        start=settings.start,
        strict=settings.strict,
        workers=settings.workers,
        isolate=settings.isolate,
        **settings.rules,
    )
    with closing(cast("Generator[Embedding | Failure, None, None]", results)):
        for task in waiting:
            if task.failure is not None:
                yield task.failure
                continue
            result, stamp = next(results), stamps.popleft()
            yield replace(result, stamp=stamp) if isinstance(result, Embedding) else result


def _expand(path: str, stdin: IO[bytes] | None, suffixes: frozenset[str], left_out: list[Path]) -> Iterator[_Input]:
    """One argument as inputs; a folder gives its files of these suffixes, hidden ones left out, in a fixed order.

    What else is in it goes to ``left_out``. A folder without any media is an input itself, which fails as such.

    A FIFO, a socket or a device is an input only by its own name: in a folder, it would keep the job waiting.
    """
    if path == "-":
        if stdin is None:
            raise ArgumentError("There is no standard input to read '-' from.")
        yield _Input(stdin, "<stdin>", "stdin")
        return
    if not _is_dir(path):
        yield _Input(path, path, Path(path).name)
        return
    empty = True
    for file in walk(Path(path)):
        if is_special(file):
            continue
        if file.suffix.lower() not in suffixes:
            left_out.append(file)
            continue
        empty = False
        yield _Input(str(file), str(file), str(file.relative_to(path)))
    if empty:
        message = f"{path}: the folder is empty: no media file is in it, by suffix; name files of other suffixes."
        yield _Input(path, path, Path(path).name or path, Failure(path, "empty", message))


def _is_dir(path: str) -> bool:
    """Whether it is a folder; a name that no file can have is none."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


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


def _is_done(
    task: Task, read: Callable[[Path], dict[str, Any] | None], encoder: Encoder, settings: EmbedSettings
) -> bool:
    source, output = task.source, task.output
    if output is None or not isinstance(source, str):
        return False
    try:
        found = read(output) if output.is_file() else None
    except (OSError, ValueError):
        # No file can have this name, or this one cannot be read: writing it will say so.
        return False
    same = found is not None and Path(str(found.get("source"))).resolve() == Path(source).resolve()
    return same and _is_as_stated(task, found, encoder, settings)


def _is_as_stated(task: Task, found: Mapping[str, Any] | None, encoder: Encoder, settings: EmbedSettings) -> bool:
    """Whether ``found``, the ``meta`` of an output, is what embedding the task now would give."""
    hop = encoder.bundle.seconds if settings.hop is None else settings.hop
    return (
        found is not None
        and isinstance(task.source, str)
        and found.get("bundle") == encoder.bundle.sha256
        and found.get("hop") == microseconds(hop) / MICROSECONDS
        # Outputs of versions that could not start elsewhere do not say it.
        and found.get("start", 0.0) == microseconds(settings.start) / MICROSECONDS
        and {name: found[name] for name in TRACKS if name in found} == Rules(**settings.rules).choice()
        and not (settings.strict and found.get("damaged"))
        and isinstance(stated := found.get("input"), dict)
        and unchanged(task.source, stated)
    )


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}).") from error
    # Not splitlines: JSON may hold other characters that Python takes for line ends.
    return [line for line in text.split("\n") if line]


def _source_of(line: str) -> str | None:
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found.get("source") if isinstance(found, dict) else None
