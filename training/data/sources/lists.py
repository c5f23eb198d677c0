"""A text file with one DATA a line, so that one training can mix sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from avfeat.datasets.files import names_below
from avfeat.errors import ArgumentError
from avfeat.training.data.sources.address import Address, parse
from avfeat.training.data.sources.item import Lazy, Listing, SourceItem

Expand = Callable[[Address, tuple[Path, ...]], Listing]


@dataclass(frozen=True)
class _Entry:
    """One line: what it stands for, and what its items' names begin with."""

    listing: Listing
    prefix: str


def list_items(
    address: Address, above: tuple[Path, ...], expand: Expand, flat: Callable[[Address], bool]
) -> Listing:
    """The items of all lines, one source after the other; paths are relative to the list's folder.

    Args:
        address: the list.
        above: the lists that this one is named in.
        expand: gives the items of a line.
        flat: whether a source's own name is part of its items' names (a file's, a shard's).

    Raises:
        ArgumentError: a list that cannot be read, is empty, or names itself.
    """
    address.check_options((), "a list")
    path = Path(address.path)
    here = path.resolve()
    if here in above:
        raise ArgumentError(f"{path}: the list names itself, directly or through another list.")
    lines = [parse(line, path.parent) for line in _lines(path)]
    if not lines:
        raise ArgumentError(f"{path}: the list is empty; write one file, folder or other source a line.")
    entries = [
        _Entry(expand(line, (*above, here)), prefix)
        for line, prefix in zip(lines, _prefixes(lines, path.parent, flat), strict=True)
    ]
    counts = [entry.listing.count for entry in entries]
    return Listing(Lazy(partial(_chain, entries)), None if None in counts else sum(count or 0 for count in counts))


def _chain(entries: Sequence[_Entry]) -> Iterator[SourceItem]:
    """The items of entry after entry, under their prefixes."""
    for entry in entries:
        for item in entry.listing.items:
            yield replace(item, name=f"{entry.prefix}{item.name}")


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise ArgumentError(f"{path}: the list cannot be read ({error.strerror}).") from error
    return [line for line in (line.rstrip("\r") for line in text.split("\n")) if line.strip()]


def _prefixes(lines: Sequence[Address], base: Path, flat: Callable[[Address], bool]) -> list[str]:
    """What names begin with: the path of the line, so that files of one name in two folders stay apart."""
    local = [line for line in lines if not line.remote and not line.path.startswith("synthetic:")]
    names = dict(
        zip((line.text for line in local), names_below([Path(line.path) for line in local], base), strict=True)
    )
    found = []
    for line in lines:
        name = PurePosixPath(names.get(line.text, ""))
        place = name.parent if flat(line) else name
        found.append("" if place == PurePosixPath() else f"{place}/")
    return found
