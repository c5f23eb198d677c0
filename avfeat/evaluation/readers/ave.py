"""AVE for evaluation: its official splits, with and without the train rows of videos that are evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avfeat.datasets.ave import LISTS, Annotation, open_ave
from avfeat.errors import ArgumentError
from avfeat.evaluation.dataset import Dataset, Fold, LabelledItem

Split = Literal["dedupe", "official"]
SECONDS = 10
"""Length of AVE's videos, and the number of its one-second segments."""


@dataclass(frozen=True)
class Ave:
    """AVE's text files, and the videos that are there.

    Attributes:
        annotations: all rows of ``Annotations.txt``.
        splits: the rows of ``train``, ``val`` and ``test``, as their files have them.
        videos: where each annotated video is, or would be, by its identifier.
    """

    annotations: tuple[Annotation, ...]
    splits: dict[str, tuple[Annotation, ...]]
    videos: dict[str, Path]

    def rows(self, split: Split) -> dict[str, tuple[Annotation, ...]]:
        """The rows of each part. ``dedupe`` leaves out train rows whose video is in val or test, too."""
        if split not in ("dedupe", "official"):
            raise ArgumentError(f"The split is dedupe or official, not {split!r}.")
        if split == "official":
            return self.splits
        evaluated = {row.id for part in ("val", "test") for row in self.splits[part]}
        train = tuple(row for row in self.splits["train"] if row.id not in evaluated)
        return {**self.splits, "train": train}

    def counts(self, split: Split) -> dict[str, int]:
        """How many rows each part has, whether their videos are there or not."""
        return {part: len(rows) for part, rows in self.rows(split).items()}

    def dataset(self, split: Split) -> Dataset:
        """The rows as items, with one fold: C is chosen on val, without a refit."""
        items: list[LabelledItem] = []
        parts: dict[str, tuple[int, ...]] = {}
        for part, rows in self.rows(split).items():
            parts[part] = tuple(range(len(items), len(items) + len(rows)))
            items += [
                LabelledItem(row.id, self.videos[row.id], row.label, row.id, (row.start, row.end)) for row in rows
            ]
        return Dataset("AVE", tuple(items), (Fold("", parts["train"], parts["val"], parts["test"]),))


def read_ave(root: Path) -> Ave:
    """Read a folder with AVE's four text files and videos, in any layout of ``avfeat.datasets.ave``.

    Raises:
        DatasetError: a text file is missing, or a line is no annotation.
    """
    copy = open_ave(root)
    annotations = copy.annotations
    splits = {part: copy.split(part) for part in LISTS}
    return Ave(annotations, splits, {row.id: copy.video(row.id) for row in annotations})


def second_labels(row: LabelledItem, background: str) -> tuple[str, ...]:
    """The label of each of the ten seconds: ``start <= t < end`` has the class, all others are background."""
    assert row.event is not None
    start, end = row.event
    return tuple(row.label if start <= second < end else background for second in range(SECONDS))
