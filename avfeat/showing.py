"""An embedding in a notebook: as a small table of HTML, and as a data frame."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from avfeat.extras import extra_packages
from avfeat.plain import visible

if TYPE_CHECKING:
    from avfeat.embedding import Embedding

_VECTORS = ("video", "audio", "video_shared", "audio_shared")


def html_of(embedding: Embedding) -> str:
    """What it is in a few lines of HTML; names of files are escaped."""
    facts = {
        "source": visible(embedding.source),
        "duration": f"{embedding.duration:.2f} s" + ", damaged" * embedding.damaged,
        "windows": f"{len(embedding)} of {embedding.seconds:g} s, every {embedding.hop:g} s",
        "video": _rows(int(embedding.has_video.sum()), embedding.video.shape[1], embedding.video_shared.shape[1]),
        "audio": _rows(int(embedding.has_audio.sum()), embedding.audio.shape[1], embedding.audio_shared.shape[1]),
    }
    rows = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    return f"<table><caption>avfeat.Embedding</caption>{rows}</table>"


def frame_of(embedding: Embedding) -> Any:
    """A pandas ``DataFrame`` with a row a window and vectors in cells, None where a modality is missing.

    Raises:
        BackendError: pandas is not installed.
    """
    with extra_packages("pandas"):
        import pandas
    count = len(embedding)
    columns: dict[str, Any] = {"source": [embedding.source] * count, "window": range(count)}
    columns |= {name: getattr(embedding, name) for name in ("start", "end", "has_video", "has_audio")}
    for name in _VECTORS:
        there = embedding.has_video if name.startswith("video") else embedding.has_audio
        rows = getattr(embedding, name)
        cells = [row if found and len(row) else None for row, found in zip(rows, there, strict=True)]
        columns[name] = pandas.Series(cells, dtype=object)
    return pandas.DataFrame(columns)


def _rows(count: int, width: int, shared: int) -> str:
    return f"{count} x {width}, shared {shared}" if count else "none"
