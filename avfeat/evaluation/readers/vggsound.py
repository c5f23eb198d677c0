"""VGGSound (Chen et al. 2020): some 200,000 videos of 309 classes, one train and one test list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from avfeat.datasets.files import checked_root, find, media_below, read_csv, wrong_line
from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset, Fold, LabelledItem
from avfeat.evaluation.readers.held_out import held_out

_SECONDS = re.compile(r"(?P<id>.{11})_(?P<start>\d{6})")
_MILLISECONDS = re.compile(r"(?P<id>.{11})_(?P<start>\d+)_\d+")


def read_vggsound(root: Path) -> Dataset:
    """Read ``vggsound.csv`` (no header: YouTube id, start in seconds, label, train or test) and the videos below.

    Files are called ``<id>_<start, six digits>.mp4``, or ``<id>_<start>_<end>.mp4`` in milliseconds. A group is a
    YouTube id. Every fifth group of the train list chooses C; then all of the list is fitted.

    Raises:
        DatasetError: the CSV is missing or not what it should be.
    """
    table = find(checked_root(root), "vggsound.csv", "vggsound.csv and the videos")
    videos = _by_start(media_below(root))
    items: list[LabelledItem] = []
    parts: dict[str, list[int]] = {"train": [], "test": []}
    for number, row in read_csv(table):
        if len(row) != 4 or not row[1].strip().isdecimal() or row[3].strip() not in parts:
            raise wrong_line(table, number, "id,start,label,train|test", ",".join(row))
        id_, start = row[0], int(row[1])
        name = f"{id_}_{start:06d}"
        parts[row[3].strip()].append(len(items))
        items.append(LabelledItem(name, videos.get((id_, start), root / f"{name}.mp4"), row[2].strip(), id_))
    if not items:
        raise DatasetError(f"{table}: has no row; download it again.")
    train, test = tuple(parts["train"]), tuple(parts["test"])
    return Dataset("VGGSound", tuple(items), (Fold("", train, held_out(items, train), test, refit=True),))


def _by_start(paths: Iterable[Path]) -> dict[tuple[str, int], Path]:
    """Files by YouTube id and start in seconds, from either way of calling them."""
    found: dict[tuple[str, int], Path] = {}
    for path in paths:
        if match := _SECONDS.fullmatch(path.stem):
            found.setdefault((match["id"], int(match["start"])), path)
        elif match := _MILLISECONDS.fullmatch(path.stem):
            found.setdefault((match["id"], round(int(match["start"]) / 1000)), path)
    return found
