"""Where training data comes from, by one string: DATA.

=============================================  =====================================================================
``clip.mp4``                                   a media file
``clips/``                                     every media file below; its sub-folders as classes
``AVE_Dataset/?split=train``                   an AVE root: annotated videos, with their categories
``UCF101/?dataset=ucf101&split=train&fold=1``  a data set of ``avfeat.datasets.registry``, by name
``clips.csv?train=yes&label=class``            a table: columns for file, label and group, filters by column
``mix.txt``                                    a list with one DATA a line (also ``.lst``)
``shards/{000..009}.tar``, ``s3://b/*.tar``    WebDataset shards, on disk or wherever fsspec reads
``synthetic:ave?videos=280&seed=0&split=val``  the synthetic dataset
=============================================  =====================================================================

A path that exists is that path, even with a question mark in its name. Values may be percent-encoded.
"""

from __future__ import annotations

from pathlib import Path

from avfeat.datasets import ave_folder
from avfeat.errors import ArgumentError, MediaError
from avfeat.training.data.sources.address import Address, exists, parse
from avfeat.training.data.sources.ave import ave_items
from avfeat.training.data.sources.dataset import DATASET, dataset_items
from avfeat.training.data.sources.folder import file_items, folder_items
from avfeat.training.data.sources.item import Lazy, Listing, SourceItem, unique
from avfeat.training.data.sources.lists import list_items
from avfeat.training.data.sources.shards import names_shards, shard_items
from avfeat.training.data.sources.synthetic import PREFIX, made_items
from avfeat.training.data.sources.table import table_items

__all__ = ["Listing", "SourceItem", "open_source"]

_LISTS = (".txt", ".lst")


def open_source(data: str) -> Listing:
    """The items that ``data`` stands for; shards that are streamed are read while the listing is.

    Raises:
        ArgumentError: a string that is no DATA, options that the source does not have, or two items of one name.
        DatasetError: text files that do not say what they should.
        MediaError: nothing is there, or nothing in it.
    """
    address = parse(data)
    local = not (address.remote or address.path.startswith(PREFIX))
    if local and not _is_shards(address) and not exists(Path(address.path)):
        raise MediaError(address.path, "not_found", "no such file or folder.")
    found = _expand(address, ())
    return Listing(Lazy(lambda: unique(found.items, data)), found.count)


def _expand(address: Address, above: tuple[Path, ...]) -> Listing:
    path = Path(address.path)
    if address.path.startswith(PREFIX):
        return made_items(address)
    if _is_shards(address):
        return shard_items(address)
    if address.remote:
        raise ArgumentError(f"{address.text}: only shards can be read from a URL; its path must end in .tar.")
    if path.is_dir() and DATASET in address.options:
        return dataset_items(address)
    if path.is_dir():
        return folder_items(address) if ave_folder(path) is None else ave_items(address)
    if path.suffix.lower() == ".csv":
        return table_items(address)
    if path.suffix.lower() in _LISTS:
        return list_items(address, above, _expand, _is_flat)
    return file_items(address)


def _is_shards(address: Address) -> bool:
    return names_shards(address.path) and (address.remote or not Path(address.path).is_dir())


def _is_flat(address: Address) -> bool:
    """Whether the source's own name is part of its items' names."""
    path = Path(address.path)
    return _is_shards(address) or not (path.is_dir() or path.suffix.lower() in (".csv", *_LISTS))
