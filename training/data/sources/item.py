"""What a source gives: named items, each with its media, and a label and a group where the source has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from avfeat.datasets import LabelledFile
from avfeat.errors import ArgumentError
from avfeat.training.data.sources.media import FileMedia, Media


@dataclass(frozen=True)
class SourceItem:
    """One clip of a data set.

    Attributes:
        name: unique in its source and independent of where the data lies.
        media: where video and audio come from.
        label: its class in words, for probes only; None where the source has none.
        group: what must never stand in two folds, such as the clips of one video; None: a group of its own.
    """

    name: str
    media: Media
    label: str | None = None
    group: str | None = None


def to_item(file: LabelledFile) -> SourceItem:
    """A file of a data set as an item."""
    return SourceItem(file.name, FileMedia(file.path), file.label, file.group)


@dataclass(frozen=True)
class Lazy:
    """Items that are found while they are read."""

    begin: Callable[[], Iterator[SourceItem]]

    def __iter__(self) -> Iterator[SourceItem]:
        return self.begin()


@dataclass(frozen=True)
class Listing:
    """The items of a source in its order; ``count`` is None where only reading to the end can tell."""

    items: Iterable[SourceItem]
    count: int | None


def listing(items: Sequence[SourceItem]) -> Listing:
    """A listing whose length is known."""
    return Listing(items, len(items))


def unique(items: Iterable[SourceItem], source: str) -> Iterator[SourceItem]:
    """The items as they are.

    Raises:
        ArgumentError: two of them share a name.
    """
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            raise ArgumentError(f"{source}: {item.name} occurs twice; name every clip once.")
        seen.add(item.name)
        yield item
