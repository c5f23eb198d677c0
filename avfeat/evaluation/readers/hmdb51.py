"""HMDB51 (Kuehne et al. 2011): 6,766 videos of 51 actions, three official splits."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from avfeat.datasets.files import (
    by_stem,
    checked_root,
    media_below,
    read_lines,
    walk,
    wrong_line,
)
from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset, Fold, LabelledItem
from avfeat.evaluation.readers.held_out import held_out

_LIST = re.compile(r"(?P<label>.+)_test_split(?P<split>[123])\.txt")
_TRAIN, _TEST = "1", "2"


def read_hmdb51(root: Path) -> Dataset:
    """Read the files ``CLASS_test_splitN.txt``, wherever they lie below ``root``, with the videos.

    Their lines are ``file.avi 1`` (train), ``2`` (test) or ``0`` (in neither). A group is what precedes the class
    in a file's name: the film or the uploader. Every fifth group of a train list chooses C; then all of the list
    is fitted.

    Raises:
        DatasetError: no list is there, or a line is not what it should be.
    """
    found = list(walk(checked_root(root)))
    lists = [(path, match) for path in found if (match := _LIST.fullmatch(path.name))]
    if not lists:
        raise DatasetError(f"{root}: has no CLASS_test_splitN.txt; name the folder that holds lists and videos.")
    videos = by_stem(media_below(root))
    items: dict[tuple[str, str], LabelledItem] = {}
    parts: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: {_TRAIN: [], _TEST: []})
    for path, match in lists:
        label = match["label"]
        for number, line in read_lines(path):
            name, _, part = line.strip().rpartition(" ")
            if part not in ("0", _TRAIN, _TEST) or not name.strip():
                raise wrong_line(path, number, "file.avi 0|1|2", line)
            key = (label, name.strip())
            if part != "0":
                items.setdefault(key, _item(root, videos, *key))
                parts[match["split"]][part].append(key)
    rows = tuple(items.values())
    place = {key: index for index, key in enumerate(items)}
    folds = []
    for split, both in sorted(parts.items()):
        train, test = (tuple(place[key] for key in both[part]) for part in (_TRAIN, _TEST))
        folds.append(Fold(split, train, held_out(rows, train), test, refit=True))
    return Dataset("HMDB51", rows, tuple(folds))


def _item(root: Path, videos: dict[str, Path], label: str, name: str) -> LabelledItem:
    stem = Path(name).stem
    group, between, _ = stem.partition(f"_{label}_")
    # The videos of a class lie in its folder; names are unique across classes, but for the copies of some releases.
    path = root / label / name
    file = path if path.is_file() else videos.get(stem, path)
    return LabelledItem(f"{label}/{name}", file, label, group if between else stem)
