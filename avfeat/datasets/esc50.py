"""ESC-50 (Piczak 2015): 2,000 recordings in five folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avfeat.datasets.files import by_stem, checked_root, find, media_below, read_csv, wrong_line
from avfeat.datasets.labelled import LabelledFile, Split
from avfeat.errors import DatasetError

_COLUMNS = ("filename", "fold", "category", "src_file")


def read_esc50(root: Path) -> list[LabelledFile]:
    """Read ``meta/esc50.csv``; the media files lie below ``root``, in ``audio``.

    Each fold is tested once; the next one (after the last, the first) is val. A group is a recording on Freesound
    (``src_file``).

    Raises:
        DatasetError: the table is missing or not what it should be.
    """
    table = find(checked_root(root), "esc50.csv", "meta/esc50.csv and audio")
    header, *rows = read_csv(table) or [(1, [])]
    if any(name not in header[1] for name in _COLUMNS):
        raise DatasetError(f"{table}: lacks one of the columns {', '.join(_COLUMNS)}; download ESC-50 again.")
    places = [header[1].index(name) for name in _COLUMNS]
    for number, row in rows:
        if len(row) != len(header[1]):
            raise wrong_line(table, number, f"{len(header[1])} fields", ",".join(row))
    found = by_stem(media_below(root))
    fields = [[row[place] for place in places] for _, row in rows]
    folds = sorted({fold for _, fold, _, _ in fields})
    return [
        LabelledFile(
            name,
            found.get(Path(name).stem, root / "audio" / name),
            label,
            source,
            folds={tested: _split(fold, tested, folds) for tested in folds},
        )
        for name, fold, label, source in fields
    ]


def _split(fold: str, tested: str, folds: Sequence[str]) -> Split:
    if fold == tested:
        return "test"
    return "val" if fold == folds[(folds.index(tested) + 1) % len(folds)] else "train"
