"""Kinetics-Sounds: classes of Kinetics that one can hear; it has no official list, so the user's lists count."""

from __future__ import annotations

from pathlib import Path

from avfeat.datasets.files import by_stem, checked_root, media_below, read_csv, wrong_line
from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset, Fold, LabelledItem
from avfeat.evaluation.readers.held_out import held_out


def read_kinetics_sounds(root: Path, train: Path, test: Path, val: Path | None = None) -> Dataset:
    """Read lists whose rows begin with a file's name and end with its class, such as ``<id>_<start>_<end>,10,3``.

    The videos lie anywhere below ``root``; a suffix in a list does not count. With ``val`` it chooses C without a
    refit; without, every fifth video of ``train`` does, and then all of the list is fitted.

    Raises:
        DatasetError: a list is missing, empty, or not what it should be.
    """
    videos = by_stem(media_below(checked_root(root)))
    items: list[LabelledItem] = []
    parts: dict[str, tuple[int, ...]] = {}
    for part, path in (("train", train), ("val", val), ("test", test)):
        if path is not None:
            rows = _rows(path)
            parts[part] = tuple(range(len(items), len(items) + len(rows)))
            items += [
                LabelledItem(name, videos.get(name, root / f"{name}.mp4"), label, name) for name, label in rows
            ]
    chosen = parts.get("val", held_out(items, parts["train"]))
    fold = Fold("", parts["train"], chosen, parts["test"], refit=val is None)
    return Dataset("Kinetics-Sounds", tuple(items), (fold,))


def _rows(path: Path) -> list[tuple[str, str]]:
    rows = []
    for number, fields in read_csv(path):
        if len(fields) < 2 or not fields[0].strip() or not fields[-1].strip():
            raise wrong_line(path, number, "name,...,class", ",".join(fields))
        rows.append((Path(fields[0].strip()).stem, fields[-1].strip()))
    if not rows:
        raise DatasetError(f"{path}: lists no video.")
    return rows
