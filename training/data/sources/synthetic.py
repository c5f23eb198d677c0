"""The synthetic dataset as a source, rendered on the spot: ``synthetic:ave?videos=N&seed=S&split=train``."""

from __future__ import annotations

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.data.sources.address import Address
from avfeat.training.data.sources.item import Listing, SourceItem, listing
from avfeat.training.data.sources.media import SyntheticMedia
from avfeat.world import SPLITS, plan

PREFIX = "synthetic:"
WORLDS = ("ave",)
VIDEOS = 280
"""As many as ``avfeat synth ave`` writes by default."""


def made_items(address: Address) -> Listing:
    """The videos of a synthetic dataset, or of one of its splits, in its order.

    Raises:
        ArgumentError: an unknown dataset, option or split, a number that is none, or a split without videos.
    """
    world = address.path.removeprefix(PREFIX)
    if world not in WORLDS:
        raise ArgumentError(
            f"{address.text}: no synthetic dataset is called {world!r}; {suggestion(world, WORLDS)}"
        )
    address.check_options(("videos", "seed", "split"), "a synthetic dataset")
    split = address.options.get("split")
    if split is not None and split not in SPLITS:
        raise ArgumentError(
            f"{address.text}: a synthetic dataset has no split {split!r}; {suggestion(split, SPLITS)}"
        )
    videos = plan(_number(address, "videos", VIDEOS), _number(address, "seed", 0))
    chosen = [video for video in videos if split in (None, video.split)]
    if not chosen:
        raise ArgumentError(
            f"{address.text}: the split {split} of so small a dataset is empty; ask for more videos."
        )
    return listing(
        [SourceItem(f"{PREFIX}{world}/{video.id}", SyntheticMedia(video), video.category) for video in chosen]
    )


def _number(address: Address, key: str, default: int) -> int:
    text = address.options.get(key, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise ArgumentError(f"{address.text}: {key} must be a whole number, not {text!r}.")
    return int(text)
