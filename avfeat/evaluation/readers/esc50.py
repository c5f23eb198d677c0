"""ESC-50 (Piczak 2015): 2,000 sounds in five folds."""

from __future__ import annotations

from pathlib import Path

from avfeat.datasets.files import (
    by_stem,
    checked_root,
    find,
    media_below,
    read_csv,
    wrong_line,
)
from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset, Fold, LabelledItem

_COLUMNS = ("filename", "fold", "category", "src_file")


def read_esc50(root: Path) -> Dataset:
    """Read ``meta/esc50.csv``; the sounds lie below ``root``, in ``audio``.

    Each fold is tested once; the next one (after the last, the first) chooses C, and the four that are not tested
    are fitted. A group is a recording on Freesound (``src_file``).

    Raises:
        DatasetError: the table is missing or not what it should be.
    """
    table = find(checked_root(root), "esc50.csv", "meta/esc50.csv and audio")
    header, *rows = read_csv(table) or [(1, [])]
    if any(name not in header[1] for name in _COLUMNS):
        raise DatasetError(f"{table}: lacks one of the columns {', '.join(_COLUMNS)}; download ESC-50 again.")
    places = [header[1].index(name) for name in _COLUMNS]
    sounds = by_stem(media_below(root))
    items, numbers = [], []
    for number, row in rows:
        if len(row) != len(header[1]):
            raise wrong_line(table, number, f"{len(header[1])} fields", ",".join(row))
        name, fold, label, source = (row[place] for place in places)
        items.append(LabelledItem(name, sounds.get(Path(name).stem, root / "audio" / name), label, source))
        numbers.append(fold)
    return Dataset("ESC-50", tuple(items), _folds(numbers))


def _folds(numbers: list[str]) -> tuple[Fold, ...]:
    names = sorted(set(numbers))
    folds = []
    for index, name in enumerate(names):
        choosing = names[(index + 1) % len(names)]
        folds.append(
            Fold(
                name,
                train=tuple(place for place, fold in enumerate(numbers) if fold != name),
                val=tuple(place for place, fold in enumerate(numbers) if fold == choosing),
                test=tuple(place for place, fold in enumerate(numbers) if fold == name),
                refit=True,
            )
        )
    return tuple(folds)
