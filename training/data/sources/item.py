"""What a source gives: named items, each with its media, and a label and a group where the source has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from avfeat.errors import ArgumentError
from avfeat.media.source import MEDIA_SUFFIXES
from avfeat.training.data.sources.media import Media


@dataclass(frozen=True)
class Item:
    """One clip of a data set.

    Attributes:
        name: unique in its source and independent of where the data lies.
        media: where pictures and sound come from.
        label: its class in words, for probes only; None where the source has none.
        group: what it was cut from or belongs to, for splits; None where the source has none.
    """

    name: str
    media: Media
    label: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Lazy:
    """Items that are found while they are read."""

    begin: Callable[[], Iterator[Item]]

    def __iter__(self) -> Iterator[Item]:
        return self.begin()


@dataclass(frozen=True)
class Listing:
    """The items of a source in its order; ``count`` is None where only reading to the end can tell."""

    items: Iterable[Item]
    count: int | None


def listing(items: Sequence[Item]) -> Listing:
    """A listing whose length is known."""
    return Listing(items, len(items))


def is_media(path: Path | PurePosixPath) -> bool:
    """Whether the suffix is one of media files."""
    return path.suffix.lower() in MEDIA_SUFFIXES


def unique(items: Iterable[Item], source: str) -> Iterator[Item]:
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


def names_below(paths: Sequence[Path], root: Path) -> list[str]:
    """Names for files: relative to ``root``, or, for those that lie elsewhere, to what these have in common."""
    # Not resolved: a link has the name that it has where it lies.
    inner = Path(os.path.abspath(root))  # noqa: PTH100
    places = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100
    outside = [place.parent for place in places if not place.is_relative_to(inner)]
    outer = Path(os.path.commonpath(outside)) if outside else inner
    return [place.relative_to(inner if place.is_relative_to(inner) else outer).as_posix() for place in places]
