"""AVE as its authors publish it (Tian et al., ECCV 2018), and folders in the same layout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from avfeat.datasets.files import by_stem, checked_root, entries, media_in, read_lines, wrong_line
from avfeat.errors import DatasetError

ANNOTATIONS = "Annotations.txt"
LISTS = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}
VIDEO_FOLDERS = ("AVE", "AVE_video", "data", "videos", ".")
_FORM = "Category&VideoID&Quality&StartTime&EndTime"


@dataclass(frozen=True)
class Annotation:
    """One row of AVE: the class holds from second ``start`` up to second ``end``; some have no length."""

    label: str
    id: str
    start: int
    end: int


@dataclass(frozen=True)
class AveCopy:
    """A copy of AVE: its text files are read when they are asked for.

    Attributes:
        root: the folder that was named.
        folder: the one with the text files: ``root``, or one in it.
    """

    root: Path
    folder: Path

    @cached_property
    def annotations(self) -> tuple[Annotation, ...]:
        """All rows of ``Annotations.txt``; some videos have several.

        Raises:
            DatasetError: the file is missing, or a line is no annotation.
        """
        return _annotations(self.folder / ANNOTATIONS)

    def split(self, name: str) -> tuple[Annotation, ...]:
        """The rows of ``train``, ``val`` or ``test``, as the file of the split has them.

        Raises:
            DatasetError: the file is missing, or a line is no annotation, or none of ``annotations``.
        """
        path = self.folder / LISTS[name]
        rows, known = _annotations(path), set(self.annotations)
        strange = next((row for row in rows if row not in known), None)
        if strange is not None:
            raise DatasetError(
                f"{path}: names {strange.label} of {strange.id}, which {ANNOTATIONS} does not; "
                "take all text files from one copy of AVE."
            )
        return rows

    def video(self, id_: str) -> Path:
        """Where the video of an identifier is, or would be."""
        return self._videos.get(id_, self.root / VIDEO_FOLDERS[0] / f"{id_}.mp4")

    @cached_property
    def _videos(self) -> dict[str, Path]:
        """Media files by identifier, from the folders that copies of AVE keep them in; the first folder counts."""
        places = dict.fromkeys(base / name for base in (self.root, self.folder) for name in VIDEO_FOLDERS)
        return by_stem(path for place in places for path in media_in(place))


def open_ave(root: Path) -> AveCopy:
    """The copy of AVE in a folder.

    The text files lie in ``root`` or in a folder of it (``data``, ``AVE_Dataset``, ...); with or without a header
    line. The videos lie in ``AVE``, ``AVE_video``, ``data``, ``videos`` or no folder, below ``root`` or beside
    the text files.

    Raises:
        DatasetError: there is no such folder, or no annotations in it.
    """
    folder = ave_folder(checked_root(root))
    if folder is None:
        raise DatasetError(f"{root}: has no {ANNOTATIONS}; name the folder that holds AVE's text files and videos.")
    return AveCopy(root, folder)


def ave_folder(root: Path) -> Path | None:
    """The folder with AVE's text files: ``root`` or one in it (no hidden one); None if this is no copy of AVE."""
    if (root / ANNOTATIONS).is_file():
        return root
    below = (path for path in entries(root) if path.is_dir() and not path.name.startswith("."))
    return next((folder for folder in below if (folder / ANNOTATIONS).is_file()), None)


def _annotations(path: Path) -> tuple[Annotation, ...]:
    """The rows of a text file; some copies begin with a line of names."""
    if not path.is_file():
        raise DatasetError(f"{path}: is missing; AVE has {ANNOTATIONS}, {', '.join(LISTS.values())}.")
    lines = read_lines(path)
    if lines and lines[0][1].split("&")[0] == "Category":
        lines = lines[1:]
    return tuple(_annotation(path, number, line) for number, line in lines)


def _annotation(path: Path, number: int, line: str) -> Annotation:
    fields = line.split("&")
    if len(fields) != 5 or not (fields[3].strip().isdecimal() and fields[4].strip().isdecimal()):
        raise wrong_line(path, number, _FORM, line)
    return Annotation(fields[0], fields[1], int(fields[3]), int(fields[4]))
