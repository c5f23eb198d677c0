"""What is looked for, as windows: media, a picture, a text, or an embedding."""

from __future__ import annotations

import logging
from typing import Any, Literal

import numpy as np

from avfeat.arguments import shown
from avfeat.bundle import Bundle, Modality
from avfeat.embedding import Embedding
from avfeat.encoder import Encoder
from avfeat.errors import ArgumentError
from avfeat.index.align import Query
from avfeat.index.collection import Vectors, unit

_LOG = logging.getLogger("avfeat")
FINEST = 0.5
"""Seconds between the windows of a query, at most: they need not lie on the grid of what they are a copy of."""


def make_query(encoder: Encoder, source: Any, hop: float, text: bool) -> Query:
    """The windows of a query.

    Args:
        encoder: of the index's bundle.
        source: media, a still picture, or the text.
        hop: seconds between the windows of the index.
        text: whether it is a text.

    Raises:
        ArgumentError: the bundle takes no text.
        MediaError: the media give no embedding.
    """
    if not text:
        # A whole part of the index's hop: each window then lies on the grid at some offset.
        parts = max(1, round(hop / FINEST))
        found = encoder.embed(source, hop=hop / parts, still=True)
        if stands_still(found, encoder.bundle):
            _LOG.warning(
                "%s: is one frame, in which nothing moves; the video encoder of %s looks at motion, too, so that "
                "what shows the same may score lower.",
                found.source,
                encoder.bundle.name,
            )
        return query_of(found)
    if not isinstance(source, str):
        raise ArgumentError(f"A query by text is a text, not {shown(source)}.")
    embed_text = getattr(encoder, "embed_text", None)
    if embed_text is None:
        raise ArgumentError(f"{encoder.bundle.name}: has no text tower; look for a video, a sound or a picture.")
    rows = np.asarray(embed_text([source]), np.float32)
    moment = np.zeros(1)
    return Query(moment, moment, 0.0, {"text": unit(rows, np.ones(1, bool))})


def stands_still(found: Embedding, bundle: Bundle) -> bool:
    """Whether a video encoder that looks at motion was given a single frame."""
    spec = bundle.video
    return (
        spec is not None
        and bundle.motion
        and spec.frames > 1
        and bool(found.has_video.any())
        and found.duration * spec.fps < 1
    )


def query_of(embedding: Embedding) -> Query:
    """The windows of an embedding as a query."""
    vectors: dict[Modality | Literal["text"], Vectors] = {}
    shared = embedding.video_shared.shape[1] or embedding.audio_shared.shape[1]
    video = embedding.video_shared if shared else embedding.video
    audio = embedding.audio_shared if shared else embedding.audio
    vectors["video"] = unit(video, embedding.has_video & bool(video.shape[1]))
    vectors["audio"] = unit(audio, embedding.has_audio & bool(audio.shape[1]))
    return Query(embedding.start, embedding.end, embedding.duration, vectors)
