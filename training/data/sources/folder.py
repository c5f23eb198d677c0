"""A media file, or a folder with all media files below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from avfeat.errors import MediaError
from avfeat.media.source import is_special
from avfeat.training.data.sources.address import Address
from avfeat.training.data.sources.item import Item, Listing, is_media, listing
from avfeat.training.data.sources.media import FileMedia


def file_items(address: Address) -> Listing:
    """One media file."""
    address.check_options((), "a media file")
    path = Path(address.path)
    return listing([Item(path.name, FileMedia(path))])


def folder_items(address: Address) -> Listing:
    """Every media file below a folder, hidden ones left out, in a fixed order.

    Where all of them lie in two or more subfolders, these are the classes.

    Raises:
        MediaError: there is none, or a folder below cannot be read.
    """
    address.check_options((), "a folder")
    root = Path(address.path)
    names = [path.relative_to(root).as_posix() for path in media_files(root)]
    if not names:
        hint = f"; for shards give {address.path}/*.tar" if any(root.glob("*.tar")) else ""
        raise MediaError(address.text, "empty", f"no media file in it{hint}.")
    labels = _class_folders(names)
    return listing([Item(name, FileMedia(root / name), label) for name, label in zip(names, labels, strict=True)])


def media_files(root: Path) -> Iterator[Path]:
    """The media files below ``root``; no FIFOs, sockets or devices, but links that lead nowhere."""
    for base, folders, files in os.walk(root, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(base) / name
            if is_media(path) and not name.startswith(".") and not is_special(path):
                yield path


def _class_folders(names: list[str]) -> list[str] | list[None]:
    """The first folder of every name, if all have one and there are two or more."""
    parts = [PurePosixPath(name).parts for name in names]
    if any(len(part) < 2 for part in parts) or len({part[0] for part in parts}) < 2:
        return [None] * len(names)
    return [part[0] for part in parts]


def _unreadable(error: OSError) -> None:
    raise MediaError(str(error.filename), "unreadable", f"the folder cannot be read ({error.strerror}).")
