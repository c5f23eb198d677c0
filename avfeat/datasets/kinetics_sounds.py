"""Kinetics-Sounds: classes of Kinetics that one can hear; it has no official list, so the user's lists count."""

from __future__ import annotations

from pathlib import Path

from avfeat.datasets.files import by_stem, checked_root, media_below, read_csv, wrong_line
from avfeat.datasets.labelled import LabelledFile, Split
from avfeat.errors import DatasetError


def read_kinetics_sounds(root: Path, train: Path, test: Path, val: Path | None = None) -> list[LabelledFile]:
    """Read lists whose rows begin with a file's name and end with its class, such as ``<id>_<start>_<end>,10,3``.

    The videos lie anywhere below ``root``; a suffix in a list does not count. A group is a video.

    Raises:
        DatasetError: a list is missing, empty, or not what it should be.
    """
    videos = by_stem(media_below(checked_root(root)))
    lists: dict[Split, Path | None] = {"train": train, "val": val, "test": test}
    return [
        LabelledFile(name, videos.get(name, root / f"{name}.mp4"), label, name, split)
        for split, path in lists.items()
        if path is not None
        for name, label in _rows(path)
    ]


def _rows(path: Path) -> list[tuple[str, str]]:
    rows = []
    for number, fields in read_csv(path):
        if len(fields) < 2 or not fields[0].strip() or not fields[-1].strip():
            raise wrong_line(path, number, "name,...,class", ",".join(fields))
        rows.append((Path(fields[0].strip()).stem, fields[-1].strip()))
    if not rows:
        raise DatasetError(f"{path}: lists no video.")
    return rows
