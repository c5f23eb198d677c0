"""A CSV with a header and one file a row: file, and where there are such columns, label and group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avfeat.datasets.files import names_below, read_csv
from avfeat.datasets.labelled import LabelledFile
from avfeat.errors import ArgumentError, DatasetError
from avfeat.suggest import suggestion

USUAL = {
    "file": ("file", "path", "video", "filename"),
    "label": ("label", "class", "category"),
    "group": ("group", "source"),
}
"""By role, the columns that are taken where none is named; the first that is there counts."""


@dataclass(frozen=True)
class Columns:
    """Columns of a CSV by name; None for the first of the usual names that is there.

    Attributes:
        file: ``file``, ``path``, ``video``, ``filename``.
        label: ``label``, ``class``, ``category``.
        group: ``group``, ``source``; without any, each file is a group of its own.
    """

    file: str | None = None
    label: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class CsvTable:
    """A CSV as read: the names of its columns, and rows of as many fields or more."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def files(
        self,
        columns: Columns | None = None,
        kept: Mapping[str, str] | None = None,
        root: Path | None = None,
        *,
        labelled: bool = False,
    ) -> list[LabelledFile]:
        """The rows that name a file, in order.

        Args:
            columns: which columns to read.
            kept: columns and the values that they must have; rows with others are left out.
            root: the folder of the files; None for that of the CSV, or the one beside it that is called like it
                where no file of the table lies beside the CSV.
            labelled: whether a column for the label has to be there.

        Raises:
            ArgumentError: no column for the file, or one that is not there or there twice, or a value that no row
                has.
        """
        columns = columns or Columns()
        file = self._require("file", columns.file)
        label = self._require("label", columns.label) if labelled else self._role("label", columns.label)
        group = self._role("group", columns.group)
        # All rows decide where the files lie: whoever keeps some of them must find the same ones.
        root = root or self._root([row[file] for row in self.rows if row[file]])
        rows = [row for row in self._kept(kept or {}) if row[file]]
        paths = [root / row[file] for row in rows]
        return [
            LabelledFile(name, path, _field(row, label), _field(row, group))
            for name, path, row in zip(names_below(paths, root), paths, rows, strict=True)
        ]

    def column(self, name: str) -> int:
        """The place of a column.

        Raises:
            ArgumentError: there is none, or several of that name.
        """
        count = self.header.count(name)
        if count == 0:
            raise ArgumentError(f"{self.path}: the CSV has no column {name!r}; {suggestion(name, self._names())}")
        if count > 1:
            raise ArgumentError(f"{self.path}: the CSV has several columns called {name!r}; rename all but one.")
        return self.header.index(name)

    def _role(self, role: str, named: str | None) -> int | None:
        name = named if named is not None else next((one for one in USUAL[role] if one in self.header), None)
        return None if name is None else self.column(name)

    def _require(self, role: str, named: str | None) -> int:
        place = self._role(role, named)
        if place is None:
            # In quotes, so that blanks and separators show.
            found = ", ".join(repr(name) for name in self._names())
            raise ArgumentError(
                f"{self.path}: no column {', '.join(USUAL[role])} among those found, {found}; name the one with "
                f"the {role} by the option {role!r}, and let commas separate columns."
            )
        return place

    def _kept(self, kept: Mapping[str, str]) -> Sequence[tuple[str, ...]]:
        rows: Sequence[tuple[str, ...]] = self.rows
        for name, value in kept.items():
            place = self.column(name)
            there = dict.fromkeys(row[place] for row in rows)
            rows = [row for row in rows if row[place] == value]
            if not rows:
                raise ArgumentError(f"{self.path}: no row has {name}={value}; {suggestion(value, there)}")
        return rows

    def _root(self, files: Sequence[str]) -> Path:
        beside = self.path.with_suffix("")
        if beside.is_dir() and not any(_is_file(self.path.parent / file) for file in files):
            return beside
        return self.path.parent

    def _names(self) -> list[str]:
        return [name for name in self.header if name]


def read_table(path: Path) -> CsvTable:
    """Read a CSV with a header; short rows are filled with empty fields.

    Raises:
        DatasetError: it cannot be read, or has no row.
    """
    rows = [fields for _, fields in read_csv(path)]
    if len(rows) < 2:
        raise DatasetError(f"{path}: the CSV has no row below its header; give it one row a file.")
    header = tuple(name.strip() for name in rows[0])
    return CsvTable(path, header, tuple((*row, *[""] * (len(header) - len(row))) for row in rows[1:]))


def _field(row: Sequence[str], place: int | None) -> str | None:
    """A field without the blanks around it; None for an empty one."""
    return None if place is None else row[place].strip() or None


def _is_file(path: Path) -> bool:
    """Whether it is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
