"""A prepared cache, open for training."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from avfeat.cache import cache_folder
from avfeat.errors import ArgumentError
from avfeat.training.data.clip import Clip
from avfeat.training.data.index import NAME as INDEX
from avfeat.training.data.index import CacheRow, clip_path, read_index
from avfeat.training.data.prepare import Event, prepare
from avfeat.training.data.settings import CacheError, CacheSettings
from avfeat.training.data.sources.address import exists, parse

Needs = Literal["any", "both"]
"""Which items take part: those with any stream, or those with video and audio."""


class Cache:
    """The items of a prepared cache.

    Attributes:
        path: the folder.
        settings: how its clips were prepared.
        rows: its items, in the order of their source.
        classes: the labels that occur, sorted; for probes, never for a loss.
    """

    def __init__(self, path: Path) -> None:
        """Open the cache in the folder ``path``.

        Raises:
            CacheError: there is none, or one that was not finished.
        """
        index = read_index(path)
        self.path = path
        self.settings: CacheSettings = index.settings
        self.rows: tuple[CacheRow, ...] = index.rows
        self.classes = index.classes

    def __len__(self) -> int:
        return len(self.rows)

    def clip(self, item: int) -> Clip:
        """Open the clip of an item.

        Raises:
            CacheError: it is missing or broken.
        """
        return Clip(clip_path(self.path, self.rows[item].clip))

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Number of each item's class in ``classes``, int64 ``(items,)``; -1 for items without."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([-1 if row.label is None else numbers[row.label] for row in self.rows], dtype=np.int64)

    def members(self, required_streams: Needs = "any") -> NDArray[np.int64]:
        """The items that take part, int64, ascending.

        Raises:
            ArgumentError: ``required_streams`` is neither ``any`` nor ``both``.
        """
        if required_streams not in get_args(Needs):
            raise ArgumentError(f"required_streams must be 'any' or 'both', not {required_streams!r}.")
        both = [row.video_end is not None and row.audio_end is not None for row in self.rows]
        return np.flatnonzero(np.array(both) | (required_streams == "any"))


def open_or_prepare(
    data: str,
    settings: CacheSettings | None = None,
    root: Path | None = None,
    *,
    workers: int | None = None,
    max_failed: float = 0.1,
    follow: Callable[[Iterable[Event]], object] | None = None,
    verify: bool = True,
) -> Cache:
    """The cache of ``data``, built or brought up to date first; several processes may ask at once.

    Args:
        data: what to prepare (see ``avfeat.training.data.sources``), or the folder of a finished cache.
        settings: what clips hold; the defaults if None.
        root: folder of all such caches; None for ``prepared`` in the cache folder (``avfeat.cache``).
        workers: processes, None for one a processor.
        max_failed: the share of items that may fail, where something is prepared.
        follow: called with what happens while it is prepared, to be iterated to its end; None for nothing.
        verify: read the clips that are there, and make again what is damaged; a finished cache is taken as it is.

    Raises:
        AvfeatError: as ``prepare``, or a finished cache that has other settings than these (its quality aside).
    """
    if (Path(data) / INDEX).is_file():
        return _open_finished(Path(data), settings)
    chosen = settings or CacheSettings()
    path = (cache_folder("prepared") if root is None else root) / _key(data, chosen)
    with closing(
        prepare(data, path, chosen, workers=workers, max_failed=max_failed, wait=True, verify=verify)
    ) as events:
        (follow or _drain)(events)
    return Cache(path)


def _drain(events: Iterable[Event]) -> None:
    deque(events, maxlen=0)


def _open_finished(path: Path, settings: CacheSettings | None) -> Cache:
    cache = Cache(path)
    # How good its frames are is the caller's choice; all else decides what a window is.
    if settings is not None and replace(settings, quality=cache.settings.quality) != cache.settings:
        raise CacheError(f"{path}: prepared with {cache.settings}, not with {settings}; prepare its source again.")
    return cache


def _key(data: str, settings: CacheSettings) -> str:
    """A folder's name for data and settings; a relative path and its absolute one are the same data."""
    address = parse(data)
    path = str(Path(address.path).resolve()) if exists(Path(address.path)) else address.path
    facts = [path, sorted(address.options.items()), settings.to_json()]
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode("utf-8", "backslashreplace"), digest_size=8)
    return digest.hexdigest()
