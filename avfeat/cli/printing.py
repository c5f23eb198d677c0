"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from avfeat.embedding import Failure
from avfeat.plain import visible
from avfeat.writers.atomic import atomic

_SHOWN = 20


def _no_folder(target: str | None) -> str | None:
    """Before any work, as writing to it would fail after it."""
    if target is not None and Path(target).is_dir():
        raise typer.BadParameter(f"{visible(target)} is a folder; name a file.")
    return target


JsonOption = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", callback=_no_folder, help="Write JSON to FILE, or to stdout with -."),
]


def write_json(values: Any, target: str) -> None:
    """Write ``values`` to the file ``target`` atomically, or to stdout for ``-``."""
    text = json.dumps(_finite(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if target == "-":
        # JSON escapes what terminals obey, but for the codes from 128 on.
        sys.stdout.write(lines_of(text))
        return
    with atomic(Path(target)) as file:
        # File names that are no UTF-8 become JSON's own escapes.
        file.write(text.encode("utf-8", "backslashreplace"))


def _finite(values: Any) -> Any:
    """JSON knows neither infinity nor NaN: null stands for them."""
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    if isinstance(values, Mapping):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return values


def facts(rows: Mapping[str, str]) -> None:
    """Print names and values in two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in rows.items():
        grid.add_row(name, visible(value))
    _stdout().print(grid)


def table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table; columns of numbers are aligned to the right."""
    lines = [list(row) for row in rows]
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, header in enumerate(headers):
        numeric = bool(lines) and all(line[column][:1].isdigit() for line in lines)
        shown.add_column(header, justify="right" if numeric else "left", overflow="fold")
    for line in lines:
        shown.add_row(*map(visible, line))
    _stdout().print(shown)


def note(text: str) -> None:
    """Say something on stderr that is no result."""
    print(lines_of(text), file=sys.stderr)


def list_files(missing: Mapping[Path, Failure], damaged: Mapping[Path, str]) -> None:
    """Name on stderr the files that a result lacks, in part or altogether."""
    _first("missing", [failure.message for failure in missing.values()])
    _first("damaged", [f"{file}: {damage}; what decodes is taken." for file, damage in damaged.items()])


def _first(what: str, found: list[Any]) -> None:
    for text in found[:_SHOWN]:
        note(f"{what}: {text}")
    if len(found) > _SHOWN:
        note(f"{what}: and {len(found) - _SHOWN:,} more; --json lists them all.")


def lines_of(text: str) -> str:
    """Lines that a terminal shows as they are."""
    return "\n".join(map(visible, text.split("\n")))


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """A progress bar on stderr, if that is a terminal; call what it gives with the name of each thing done."""
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
        task = bar.add_task(label, total=total)
        yield lambda name: bar.update(task, advance=1, description=escape(visible(name)))


def _stdout() -> Console:
    # File names may look like markup: nothing in a result is interpreted. Programs get lines that are not folded.
    width = None if sys.stdout.isatty() else 10_000
    return Console(markup=False, highlight=False, emoji=False, width=width)
