"""A copy of AVE, or a folder in the same layout, as training takes it: each video once."""

from __future__ import annotations

from pathlib import Path

from avfeat.datasets import open_ave
from avfeat.datasets.ave import LISTS
from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.data.sources.address import Address
from avfeat.training.data.sources.item import Listing, SourceItem, listing
from avfeat.training.data.sources.media import FileMedia


def ave_items(address: Address) -> Listing:
    """Each annotated video once, in the order of the file; one that is not on disk is a failure later on.

    45 of AVE's videos are annotated under two classes or more: the last one counts, as in OGM-GE's loader.

    Raises:
        ArgumentError: an unknown split.
        DatasetError: a text file that is missing or no annotations.
    """
    address.check_options(("split",), "an AVE root")
    copy = open_ave(Path(address.path))
    split = address.options.get("split")
    if split is not None and split not in LISTS:
        raise ArgumentError(f"{address.text}: AVE has no split {split!r}; {suggestion(split, LISTS)}")
    rows = copy.annotations if split is None else copy.split(split)
    labels = {row.id: row.label for row in rows}
    return listing([SourceItem(f"ave/{id_}", FileMedia(copy.video(id_)), label) for id_, label in labels.items()])
