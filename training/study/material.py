"""The data of a study: train, val and test of one source, prepared as each recipe needs them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from avfeat.errors import ArgumentError, AvfeatError
from avfeat.training.data import Cache, CacheSettings, Event, open_or_prepare
from avfeat.training.data.sources import open_source
from avfeat.training.data.sources.address import parse

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


class MaterialError(AvfeatError):
    """A source that a study cannot use."""


@dataclass(frozen=True)
class Material:
    """A source with splits, by name: a synthetic dataset, or a folder in AVE's layout."""

    source: str

    def __post_init__(self) -> None:
        if "split" in parse(self.source).options:
            raise ArgumentError(f"{self.source}: leave out the split; a study takes train, val and test.")

    def address(self, part: Part) -> str:
        """DATA of one part.

        Raises:
            ArgumentError: the source is no AVE root and no synthetic dataset.
        """
        joint = "&" if parse(self.source).options else "?"
        return f"{self.source}{joint}split={part}"

    @cached_property
    def _listed(self) -> dict[Part, list[tuple[str, str]]]:
        return {part: list(self._labelled(part)) for part in PARTS}

    def _labelled(self, part: Part) -> Iterator[tuple[str, str]]:
        for one in open_source(self.address(part)).items:
            if one.label is None:
                raise MaterialError(f"{self.source}: {one.name} has no label, and a study probes labelled clips.")
            yield one.name, one.label

    @property
    def identity(self) -> str:
        """Hash of the names, labels and parts of all clips: the same on every machine that has the data.

        Raises:
            AvfeatError: data that is not there, has no splits, or has a clip without a label.
        """
        digest = hashlib.blake2b(digest_size=8)
        for part, items in self._listed.items():
            for name, label in items:
                digest.update("\0".join((part, name, label)).encode("utf-8", "backslashreplace") + b"\n")
        return digest.hexdigest()

    @property
    def clips(self) -> int:
        """How many there are in all parts."""
        return sum(len(items) for items in self._listed.values())

    def prepare(
        self, settings: CacheSettings, max_failed: float, follow: Callable[[Iterable[Event]], object] | None
    ) -> dict[Part, Path]:
        """Caches of all parts, built where they are not there; arguments and errors as of ``open_or_prepare``."""
        return {
            part: open_or_prepare(self.address(part), settings, max_failed=max_failed, follow=follow).path
            for part in PARTS
        }


def open_caches(paths: dict[Part, Path]) -> dict[Part, Cache]:
    """Open prepared parts; clips of val and test are left out of train, as ``avfeat eval ave`` does by default."""
    caches = {part: Cache(path) for part, path in paths.items()}
    evaluated = {row.name for part in ("val", "test") for row in caches[part].rows}
    train = copy.copy(caches["train"])
    train.rows = tuple(row for row in train.rows if row.name not in evaluated)
    return {**caches, "train": train}
