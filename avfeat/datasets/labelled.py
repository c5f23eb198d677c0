"""A file of a data set, and what the data set says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class LabelledFile:
    """A media file with its label, group and split.

    Attributes:
        name: independent of where the data set lies.
        path: of the file, which may not be there.
        label: its class; None where the data set has none for it.
        group: what must never stand in two folds, such as the clips of one video; None: a group of its own.
        split: the official one; None where the data set has none for it, or has several divisions into splits.
        folds: for data sets with several divisions, such as UCF101's three: the split in each that names the file.
    """

    name: str
    path: Path
    label: str | None = None
    group: str | None = None
    split: Split | None = None
    folds: Mapping[str, Split] = field(default_factory=dict, hash=False)
