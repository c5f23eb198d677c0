"""What is said of an embedding beside its rows, in every format that has a place for it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.embedding import Embedding, dense_of
from avfeat.version import __version__

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


def parse_meta(text: str | None) -> dict[str, Any] | None:
    """``meta`` as read back, None where it is missing or no JSON object."""
    try:
        found = json.loads(text or "")
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
