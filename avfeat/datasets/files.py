"""What all readers do: find media files, read text, and say what is wrong with it."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from avfeat.errors import DatasetError, MediaError
from avfeat.media.source import MEDIA_SUFFIXES, is_special


def is_media(path: Path | PurePosixPath) -> bool:
    """Whether the suffix is one of media files."""
    return path.suffix.lower() in MEDIA_SUFFIXES


def walk(root: Path) -> Iterator[Path]:
    """All files below a folder, hidden ones left out, in a fixed order; linked folders are not followed.

    Raises:
        MediaError: a folder cannot be read.
    """
    for base, folders, files in os.walk(root, onerror=_raise_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(base) / name


def media_below(root: Path) -> Iterator[Path]:
    """The media files below a folder: no FIFOs, sockets or devices, but links that lead nowhere."""
    return (path for path in walk(root) if is_media(path) and not is_special(path))


def media_in(folder: Path) -> list[Path]:
    """The media files in a folder itself; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return [path for path in entries(folder) if is_media(path) and not path.is_dir() and not is_special(path)]


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, in alphabetical order.

    Raises:
        MediaError: it cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable_folder(error) from error


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their name without suffix; of equal names, the first counts."""
    found: dict[str, Path] = {}
    for path in paths:
        found.setdefault(path.stem, path)
    return found


def checked_root(root: Path) -> Path:
    """``root``, if it is a folder.

    Raises:
        DatasetError: it is not.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name the one that holds the data set.")
    return root


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


def names_below(paths: Sequence[Path], root: Path) -> list[str]:
    """Names for files: relative to ``root``, or, for those that lie elsewhere, to what these have in common."""
    # Not resolved: a link has the name that it has where it lies.
    inner = Path(os.path.abspath(root))  # noqa: PTH100
    places = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100
    outside = [place.parent for place in places if not place.is_relative_to(inner)]
    outer = Path(os.path.commonpath(outside)) if outside else inner
    return [place.relative_to(inner if place.is_relative_to(inner) else outer).as_posix() for place in places]


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


def _unreadable_folder(error: OSError) -> MediaError:
    return MediaError(str(error.filename), "unreadable", f"the folder cannot be read ({error.strerror}).")


def _raise_unreadable(error: OSError) -> None:
    raise _unreadable_folder(error)
