"""Data sets by name, with their official splits as folds."""

from __future__ import annotations

from pathlib import Path

from avfeat.datasets import DatasetReader, kinetics_sounds
from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset


def read_dataset(reader: DatasetReader, root: Path) -> Dataset:
    """Read a data set of ``avfeat.datasets.registry`` from its folder.

    Raises:
        DatasetError: what it needs is missing, or not what it should be.
    """
    found = Dataset.from_files(reader.title, reader.read(root), refit=reader.refit)
    if not found.folds:
        raise DatasetError(
            f"{root}: no file of {reader.title} has a split; its reader has to give each a split, or folds."
        )
    return found


def read_kinetics_sounds(root: Path, train: Path, test: Path, val: Path | None = None) -> Dataset:
    """Read Kinetics-Sounds from lists of the user's own, for there are no official ones.

    With ``val`` it chooses C without a refit; without, every fifth video of ``train`` does.

    Raises:
        DatasetError: a list is missing, empty, or not what it should be.
    """
    return Dataset.from_files("Kinetics-Sounds", kinetics_sounds.read_kinetics_sounds(root, train, test, val))
