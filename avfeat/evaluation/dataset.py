"""Labelled files, and which of them a protocol fits, chooses and tests on."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from avfeat.datasets import LabelledFile, Split

_EVERY = 5
"""Of the groups of train, where there is no val, one in so many chooses C."""


@dataclass(frozen=True)
class LabelledItem:
    """One labelled row of a data set; several rows may share a file.

    Attributes:
        name: how lists call it.
        file: the media file, there or not.
        label: its class.
        group: what must never stand in two folds, such as the clips of one video.
        event: for labelled events, the seconds from which and up to which the class holds.
    """

    name: str
    file: Path
    label: str
    group: str
    event: tuple[int, int] | None = None


@dataclass(frozen=True)
class Fold:
    """Positions of a data set's items: what is fitted, what chooses C, and what is tested.

    Attributes:
        name: of the fold.
        train: fitted.
        val: chooses C. With ``refit`` a part of ``train``, which is not fitted for that choice; without, apart.
        test: tested.
        refit: whether all of ``train`` is fitted with the chosen C.
        parts: those of ``train`` that choose C in place of ``val``: each in turn, by what is fitted on the others.
    """

    name: str
    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    refit: bool = False
    parts: tuple[tuple[int, ...], ...] = ()

    def only(self, places: AbstractSet[int]) -> Fold:
        """The fold without other positions."""
        train, val, test = (
            tuple(place for place in part if place in places) for part in (self.train, self.val, self.test)
        )
        parts = tuple(tuple(place for place in part if place in places) for part in self.parts)
        return replace(self, train=train, val=val, test=test, parts=parts)


@dataclass(frozen=True)
class Dataset:
    """A data set as read.

    Attributes:
        name: of the data set.
        items: its rows.
        folds: how it is split; accuracy is the mean over them.
    """

    name: str
    items: tuple[LabelledItem, ...]
    folds: tuple[Fold, ...] = ()

    @classmethod
    def from_files(cls, name: str, files: Sequence[LabelledFile], *, refit: bool = False) -> Dataset:
        """The files that have a label, and a fold for each division of theirs into splits.

        Without val, every fifth group of train chooses C, and then all of train is fitted: whole groups, in
        alphabetical order, beginning with the first, so that what chooses C is not the twin of what was fitted.

        Args:
            name: of the data set.
            files: as read; one without a group is a group of its own.
            refit: whether val is fitted, too, once it has chosen C.
        """
        labelled = [(file, file.label) for file in files if file.label is not None]
        items = tuple(
            LabelledItem(file.name, file.path, label, file.group or file.name) for file, label in labelled
        )
        splits = [{"": file.split} if file.split else file.folds for file, _ in labelled]
        names = sorted({fold for one in splits for fold in one})
        folds = tuple(_fold(fold, items, [one.get(fold) for one in splits], refit) for fold in names)
        return cls(name, items, folds)

    @property
    def classes(self) -> tuple[str, ...]:
        """Its labels, in alphabetical order."""
        return tuple(sorted({item.label for item in self.items}))

    @property
    def files(self) -> tuple[Path, ...]:
        """Its media files, each once."""
        return tuple(dict.fromkeys(item.file for item in self.items))


def _fold(name: str, items: Sequence[LabelledItem], splits: Sequence[Split | None], refit: bool) -> Fold:
    train, val, test = (
        tuple(position for position, split in enumerate(splits) if split == part)
        for part in ("train", "val", "test")
    )
    if not val:
        return Fold(name, train, _held_out(items, train), test, refit=True)
    return Fold(name, tuple(sorted(train + val)) if refit else train, val, test, refit)


def _held_out(items: Sequence[LabelledItem], train: Sequence[int]) -> tuple[int, ...]:
    groups = sorted({items[position].group for position in train})
    chosen = set(groups[::_EVERY])
    return tuple(position for position in train if items[position].group in chosen)
