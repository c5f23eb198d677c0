"""A CSV with one clip a row: file, and where there are such columns, label and group; filters by column."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from avfeat.errors import ArgumentError
from avfeat.training.data.sources.address import Address
from avfeat.training.data.sources.item import Item, Listing, listing, names_below
from avfeat.training.data.sources.media import FileMedia
from avfeat.training.suggest import suggestion

DEFAULTS = {
    "file": ("file", "path", "video", "filename"),
    "label": ("label", "class", "category"),
    "group": ("group", "source"),
}
Row = dict[str, str]


def table_items(address: Address) -> Listing:
    """The rows that all filters keep.

    ``root=`` is the folder of the files: the CSV's own by default, or the one beside it that is called like it.
    ``file=``, ``label=`` and ``group=`` name columns; any other option is a column and the value that it must have.

    Raises:
        ArgumentError: a CSV that cannot be read, a column that is not there or is there twice, or no row that is
            left.
    """
    path = Path(address.path)
    columns, rows = _read(path)
    chosen = {role: _column(address, columns, role) for role in DEFAULTS}
    file, label, group = chosen["file"], chosen["label"], chosen["group"]
    if file is None:
        raise ArgumentError(
            f"{path}: no column {', '.join(DEFAULTS['file'])} among those found, {_listed(columns)}; "
            "name the one with the files: file=COLUMN, and let commas separate columns."
        )
    rows = [row for row in _filtered(address, columns, rows) if row[file]]
    if not rows:
        raise ArgumentError(f"{path}: no row names a file.")
    root = _root(address, path, [row[file] for row in rows])
    paths = [root / row[file] for row in rows]
    return listing(
        [
            Item(
                name,
                FileMedia(place),
                row[label].strip() or None if label else None,
                row[group].strip() or None if group else None,
            )
            for name, place, row in zip(names_below(paths, root), paths, rows, strict=True)
        ]
    )


def _read(path: Path) -> tuple[list[str], list[Row]]:
    """Columns and rows; short rows are filled with empty fields."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            rows = [{key: value for key, value in row.items() if key is not None} for row in reader]
            columns = list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise ArgumentError(f"{path}: the CSV cannot be read ({why}).") from error
    # Columns without a name, as of commas at the ends of lines, cannot be asked for.
    twice = [name for name, count in Counter(columns).items() if count > 1 and name]
    if twice:
        raise ArgumentError(f"{path}: the CSV has several columns called {_listed(twice)}; rename all but one.")
    if not rows:
        raise ArgumentError(f"{path}: the CSV has no row below its header.")
    return columns, rows


def _listed(columns: Sequence[str]) -> str:
    """Names in quotes, so that blanks and separators show."""
    return ", ".join(repr(name) for name in columns)


def _column(address: Address, columns: list[str], role: str) -> str | None:
    """The column that an option names for ``role``, or the first of the usual names that is there."""
    named = address.options.get(role)
    if named is None:
        return next((name for name in DEFAULTS[role] if name in columns), None)
    if named not in columns:
        raise ArgumentError(f"{address.text}: the CSV has no column {named!r}; {suggestion(named, columns)}")
    return named


def _filtered(address: Address, columns: list[str], rows: list[Row]) -> list[Row]:
    for key, value in address.options.items():
        if key in ("root", *DEFAULTS):
            continue
        if key not in columns:
            known = ["root", *DEFAULTS, *columns]
            raise ArgumentError(f"{address.text}: the CSV has no column {key!r}; {suggestion(key, known)}")
        there = dict.fromkeys(row[key] for row in rows)
        rows = [row for row in rows if row[key] == value]
        if not rows:
            raise ArgumentError(f"{address.text}: no row has {key}={value}; {suggestion(value, there)}")
    return rows


def _root(address: Address, path: Path, files: Sequence[str]) -> Path:
    if "root" in address.options:
        root = path.parent / address.options["root"]
        if not root.is_dir():
            raise ArgumentError(f"{address.text}: the folder {root} is not there; give another root=.")
        return root
    beside = path.with_suffix("")
    if beside.is_dir() and not any((path.parent / file).is_file() for file in files):
        return beside
    return path.parent
