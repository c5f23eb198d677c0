"""A data set of ``avfeat.datasets.registry``: ``FOLDER?dataset=NAME&split=train&fold=1``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from avfeat.datasets import SPLITS, LabelledFile, Split, find_reader
from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.data.sources.address import Address
from avfeat.training.data.sources.item import Listing, listing, to_item

DATASET = "dataset"
"""The option that names the data set."""


def dataset_items(address: Address) -> Listing:
    """Its files, or those of a split, each once; of a file that is listed twice, the last label counts.

    Raises:
        ArgumentError: an unknown data set, split or fold, or a split that holds no file.
        DatasetError: a list that is missing or not what it should be.
    """
    address.check_options((DATASET, "split", "fold"), "a data set")
    reader = find_reader(address.options[DATASET])
    files = _of_split(address, reader.read(Path(address.path)))
    named = {file.name: replace(file, name=f"{reader.name}/{file.name}") for file in files}
    return listing([to_item(file) for file in named.values()])


def _of_split(address: Address, files: Sequence[LabelledFile]) -> Sequence[LabelledFile]:
    split, fold = address.options.get("split"), _fold(address, files)
    if split is None:
        if fold is not None:
            raise ArgumentError(f"{address.text}: fold is for a split; add split=train.")
        return files
    if split not in SPLITS:
        raise ArgumentError(f"{address.text}: there is no split {split!r}; {suggestion(split, SPLITS)}")
    found = [file for file in files if _split(file, fold) == split]
    if not found:
        raise ArgumentError(f"{address.text}: the split {split} holds no file; name another one.")
    return found


def _fold(address: Address, files: Sequence[LabelledFile]) -> str | None:
    """The division into splits that the option names; None where the data set has one alone."""
    folds = sorted({fold for file in files for fold in file.folds})
    named = address.options.get("fold")
    if named is None and folds and "split" in address.options:
        raise ArgumentError(f"{address.text}: its splits differ by fold; add fold={folds[0]}.")
    if named is not None and named not in folds:
        raise ArgumentError(f"{address.text}: there is no fold {named!r}; {suggestion(named, folds)}")
    return named


def _split(file: LabelledFile, fold: str | None) -> Split | None:
    return file.split if fold is None else file.folds.get(fold)
