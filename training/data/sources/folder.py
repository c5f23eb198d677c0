"""A media file, or a folder with all media files below it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from avfeat.datasets import read_folder
from avfeat.errors import MediaError
from avfeat.training.data.sources.address import Address
from avfeat.training.data.sources.item import Listing, SourceItem, listing, to_item
from avfeat.training.data.sources.media import FileMedia


def file_items(address: Address) -> Listing:
    """One media file."""
    address.check_options((), "a media file")
    path = Path(address.path)
    return listing([SourceItem(path.name, FileMedia(path))])


def folder_items(address: Address) -> Listing:
    """Every media file below a folder, its first sub-folder as its class; a single class is none.

    Raises:
        MediaError: there is none, or a folder below cannot be read.
    """
    address.check_options(("dataset",), "a folder")
    root = Path(address.path)
    items = [to_item(file) for file in read_folder(root)]
    if not items:
        hint = f"; for shards give {address.path}/*.tar" if any(root.glob("*.tar")) else ""
        raise MediaError(address.text, "empty", f"no media file in it{hint}.")
    if len({item.label for item in items} - {None}) == 1:
        # A probe would always be right.
        items = [replace(item, label=None) for item in items]
    return listing(items)
