"""What is said of an embedding beside its rows, in every format that has a place for it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.embedding import Embedding, dense_of
from avfeat.version import __version__

METAS = b"metas"
"""What tables call ``TableMeta``."""

ARRAYS = ("start", "end", "video", "audio", "video_shared", "audio_shared", "has_video", "has_audio")


def arrays_of(embedding: Embedding) -> dict[str, NDArray[Any]]:
    """All arrays of an embedding by name: ``ARRAYS``, and dense rows with their times where there are any."""
    return {name: getattr(embedding, name) for name in ARRAYS} | dense_of(embedding)


def mask_of(embedding: Embedding, name: str) -> NDArray[np.bool_]:
    """Which windows have the modality of an array."""
    return embedding.has_video if name.startswith("video") else embedding.has_audio


def meta(embedding: Embedding) -> dict[str, Any]:
    """The facts that make an embedding reproducible."""
    return {
        "source": embedding.source,
        # The bundle's checksum, as the attribute is called and as what it is.
        "bundle": embedding.bundle,
        "sha256": embedding.bundle,
        "hop": embedding.hop,
        "start": float(embedding.start[0]),
        "seconds": embedding.seconds,
        "duration": embedding.duration,
        "avfeat": __version__,
        "damaged": embedding.damaged,
        "damage": list(embedding.damage),
        **embedding.choice,
        **({} if embedding.stamp is None else {"input": embedding.stamp.to_json()}),
    }


class TableMeta:
    """What is said of the many embeddings of one table, in order: all of the first, of others what differs."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._first: dict[str, Any] = {}
        self._then: list[dict[str, Any]] = []

    def add(self, embedding: Embedding) -> None:
        """The next one."""
        found = meta(embedding)
        if not self._first:
            self._first = found
        else:
            same = self._first
            self._then.append({key: value for key, value in found.items() if key not in same or same[key] != value})

    def text(self) -> str:
        """All of it, for ``parse_metas``."""
        return json.dumps({"first": self._first, "then": self._then})


def parse_metas(text: str) -> list[dict[str, Any]]:
    """The ``meta`` of each embedding of a table.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    found = json.loads(text)
    return [found["first"], *({**found["first"], **other} for other in found["then"])]


def parse_meta(text: str | None) -> dict[str, Any] | None:
    """``meta`` as read back, None where it is missing or no JSON object."""
    try:
        found = json.loads(text or "")
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
