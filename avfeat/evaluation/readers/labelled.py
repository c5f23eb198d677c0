"""Any labelled files: a folder with a sub-folder for each class, a CSV with a row for each file, or AVE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avfeat.errors import ArgumentError
from avfeat.evaluation.dataset import Dataset, DatasetError, Item
from avfeat.evaluation.readers.ave import read_ave, text_folder
from avfeat.evaluation.readers.files import media_below, read_csv

_USUAL = {
    "file": ("path", "file", "video", "filename"),
    "label": ("label", "class", "category"),
    "group": ("source", "group"),
}


@dataclass(frozen=True)
class Columns:
    """Columns of a CSV by name; None for the first of the usual names that is there.

    Attributes:
        file: ``path``, ``file``, ``video``, ``filename``.
        label: ``label``, ``class``, ``category``.
        group: ``source``, ``group``; without any, each file is an origin of its own.
    """

    file: str | None = None
    label: str | None = None
    group: str | None = None


def read_labelled(data: Path, columns: Columns | None = None) -> Dataset:
    """Read a folder (the class is the first sub-folder), a CSV with a header, or a folder with AVE's text files.

    Of AVE, train and test list come along, without the train rows of videos that are in val or test.

    The files of a CSV lie beside it, or in the folder beside it that is called like it. Rows without a label are
    left out.

    Raises:
        DatasetError: nothing labelled is there, or the CSV cannot be read.
        ArgumentError: a column that the CSV does not have, or columns for a folder.
    """
    columns = columns or Columns()
    if data.is_dir():
        if columns != Columns():
            raise ArgumentError(f"{data}: is a folder and has no columns; name a CSV, or drop the columns.")
        if text_folder(data) is not None:
            return read_ave(data).dataset("dedupe")
        items = _of_folder(data)
    elif data.is_file():
        items = _of_table(data, columns)
    else:
        raise DatasetError(f"{data}: no such file or folder; name a CSV, or a folder with a sub-folder a class.")
    if not items:
        raise DatasetError(f"{data}: holds no labelled file; a class is a sub-folder, or a field of a CSV's row.")
    return Dataset(data.name, tuple(items))


def _of_folder(root: Path) -> list[Item]:
    """Files that lie in a sub-folder; each is an origin of its own."""
    found = [(path, path.relative_to(root)) for path in media_below(root)]
    return [
        Item(relative.as_posix(), path, relative.parts[0], relative.as_posix())
        for path, relative in found
        if len(relative.parts) > 1
    ]


def _of_table(path: Path, columns: Columns) -> list[Item]:
    rows = read_csv(path)
    if len(rows) < 2:
        raise DatasetError(f"{path}: the CSV has no row below its header.")
    header = [name.strip() for name in rows[0][1]]
    file = _column(path, header, "file", columns.file)
    label = _column(path, header, "label", columns.label)
    group = _column(path, header, "group", columns.group)
    if file is None or label is None:
        lacking = "file" if file is None else "label"
        raise ArgumentError(f"{path}: no column for the {lacking}; name one of {_listed(header)} with --{lacking}.")
    fields = [(number, row + [""] * (len(header) - len(row))) for number, row in rows[1:]]
    named = [row for _, row in fields if row[file] and row[label].strip()]
    root = _root(path, [row[file] for row in named])
    return [
        Item(
            row[file], root / row[file], row[label].strip(), (group is not None and row[group].strip()) or row[file]
        )
        for row in named
    ]


def _column(path: Path, header: Sequence[str], role: str, named: str | None) -> int | None:
    if named is None:
        named = next((name for name in _USUAL[role] if name in header), None)
        if named is None:
            return None
    if header.count(named) != 1:
        many = "several columns" if named in header else "no column"
        raise ArgumentError(f"{path}: has {many} called {named!r}; it has {_listed(header)}.")
    return header.index(named)


def _root(path: Path, files: Sequence[str]) -> Path:
    beside = path.with_suffix("")
    if beside.is_dir() and not any((path.parent / file).is_file() for file in files):
        return beside
    return path.parent


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
