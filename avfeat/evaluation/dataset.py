"""Labelled files, and which of them a protocol fits, chooses and tests on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabelledItem:
    """One labelled row of a data set; several rows may share a file.

    Attributes:
        name: how lists call it.
        file: the media file, there or not.
        label: its class.
        group: where it comes from, such as a source: items of one group are not independent of each other.
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
    """

    name: str
    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    refit: bool = False


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

    @property
    def classes(self) -> tuple[str, ...]:
        """Its labels, in alphabetical order."""
        return tuple(sorted({item.label for item in self.items}))

    @property
    def files(self) -> tuple[Path, ...]:
        """Its media files, each once."""
        return tuple(dict.fromkeys(item.file for item in self.items))
