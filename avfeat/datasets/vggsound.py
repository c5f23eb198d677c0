"""VGGSound (Chen et al. 2020): some 200,000 videos of 309 classes, one train and one test list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from avfeat.datasets.files import checked_root, find, media_below, read_csv, wrong_line
from avfeat.datasets.labelled import LabelledFile, Split
from avfeat.errors import DatasetError

_PARTS: dict[str, Split] = {"train": "train", "test": "test"}
_SECONDS = re.compile(r"(?P<id>.{11})_(?P<start>\d{6})")
_MILLISECONDS = re.compile(r"(?P<id>.{11})_(?P<start>\d+)_\d+")


def read_vggsound(root: Path) -> list[LabelledFile]:
    """Read ``vggsound.csv`` (no header: YouTube id, start in seconds, label, train or test) and the videos below.

    Files are called ``<id>_<start, six digits>.mp4``, or ``<id>_<start>_<end>.mp4`` in milliseconds. A group is a
    YouTube id.

    Raises:
        DatasetError: the CSV is missing or not what it should be.
    """
    table = find(checked_root(root), "vggsound.csv", "vggsound.csv and the videos")
    videos = _by_start(media_below(root))
    files = []
    for number, row in read_csv(table):
        if len(row) != 4 or not row[1].strip().isdecimal() or row[3].strip() not in _PARTS:
            raise wrong_line(table, number, "id,start,label,train|test", ",".join(row))
        id_, start, split = row[0], int(row[1]), _PARTS[row[3].strip()]
        name = f"{id_}_{start:06d}"
        path = videos.get((id_, start), root / f"{name}.mp4")
        files.append(LabelledFile(name, path, row[2].strip(), id_, split))
    if not files:
        raise DatasetError(f"{table}: has no row; download it again.")
    return files


def _by_start(paths: Iterable[Path]) -> dict[tuple[str, int], Path]:
    """Files by YouTube id and start in seconds, from either way of calling them."""
    found: dict[tuple[str, int], Path] = {}
    for path in paths:
        if match := _SECONDS.fullmatch(path.stem):
            found.setdefault((match["id"], int(match["start"])), path)
        elif match := _MILLISECONDS.fullmatch(path.stem):
            found.setdefault((match["id"], round(int(match["start"]) / 1000)), path)
    return found
