"""What all readers do: find files below a folder, read text, and say what is wrong with it."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from avfeat.evaluation.dataset import DatasetError, Item
from avfeat.media.source import MEDIA_SUFFIXES, is_special

_EVERY = 5
"""Of the origins of a train list without a validation list, one in so many chooses C."""


def checked_root(root: Path) -> Path:
    """``root``, if it is a folder.

    Raises:
        DatasetError: it is not.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name the one that holds the data set.")
    return root


def walk(root: Path) -> Iterator[Path]:
    """All files below a folder, hidden ones left out, in a fixed order."""
    for base, folders, files in os.walk(root, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(base) / name


def media_below(root: Path) -> list[Path]:
    """The media files below a folder."""
    return [path for path in walk(root) if path.suffix.lower() in MEDIA_SUFFIXES and not is_special(path)]


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their name without suffix; of equal names, the first counts."""
    found: dict[str, Path] = {}
    for path in paths:
        found.setdefault(path.stem, path)
    return found


def find(root: Path, name: str, what: str) -> Path:
    """The first file of that name in ``root`` or at most two folders below it.

    Raises:
        DatasetError: there is none.
    """
    for pattern in (name, f"*/{name}", f"*/*/{name}"):
        found = sorted(path for path in root.glob(pattern) if path.is_file())
        if found:
            return found[0]
    raise DatasetError(f"{root}: has no {name}; name the folder that holds {what}.")


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Numbers (from 1) and text of the lines that are not empty.

    Raises:
        DatasetError: the file cannot be read, or is no UTF-8 text.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error
    # Not splitlines: labels may hold other characters that Python takes for line ends.
    lines = enumerate((line.rstrip("\r") for line in text.split("\n")), 1)
    return [(number, line) for number, line in lines if line.strip()]


def read_csv(path: Path) -> list[tuple[int, list[str]]]:
    """Numbers (from 1) and fields of the rows of a CSV, the header among them; empty rows left out.

    Raises:
        DatasetError: the file cannot be read, or is no CSV.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            return [(reader.line_num, row) for row in reader if any(field.strip() for field in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> DatasetError:
    """The sentence for a text file that cannot be read."""
    why = getattr(error, "strerror", None) or (
        "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
    )
    return DatasetError(f"{path}: cannot be read ({why}); check the file, or take another copy of it.")


def wrong_line(path: Path, number: int, form: str, line: str) -> DatasetError:
    """The sentence for a line that is not as it should be."""
    return DatasetError(f"{path}, line {number}: not {form}: {line!r}.")


def held_out(items: Sequence[Item], train: Sequence[int]) -> tuple[int, ...]:
    """The part of ``train`` that chooses C where a data set has no validation list: every fifth origin.

    Whole origins, in alphabetical order, beginning with the first, so that what chooses C is not the twin of
    what was fitted.
    """
    groups = sorted({items[position].group for position in train})
    chosen = set(groups[::_EVERY])
    return tuple(position for position in train if items[position].group in chosen)


def _unreadable(error: OSError) -> None:
    raise DatasetError(f"{error.filename}: the folder cannot be read ({error.strerror}).")
