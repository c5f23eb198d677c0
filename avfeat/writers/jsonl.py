"""JSON lines: one object a window; a missing modality, or output of the model, is null."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from avfeat.embedding import Embedding, WindowEmbedding, dense_of
from avfeat.writers.atomic import Nothing, atomic, encode_line


def window_line(source: str, index: int, window: WindowEmbedding) -> str:
    """One window as a line, without its newline. float32 values are given to 9 digits: exactly.

    Dense rows are a list of rows, and their times a list, of a bundle that has them.
    """
    row: dict[str, Any] = {
        "source": source,
        "window": index,
        "start": window.start,
        "end": window.end,
        "video": _digits(window.video, window.has_video),
        "audio": _digits(window.audio, window.has_audio),
        "video_shared": _digits(window.video_shared, window.has_video),
        "audio_shared": _digits(window.audio_shared, window.has_audio),
    }
    row |= {name: _dense(values, window, name) for name, values in dense_of(window).items()}
    return json.dumps(row, ensure_ascii=False, allow_nan=False)


def embedding_lines(embedding: Embedding) -> Iterator[str]:
    """Every window of an embedding as a line."""
    for index, window in enumerate(embedding.windows()):
        yield window_line(embedding.source, index, window)


def write_jsonl(path: Path, embedding: Embedding) -> None:
    """Write one object a window."""
    with jsonl_table(path) as add:
        add(embedding)


@contextmanager
def jsonl_table(path: Path) -> Iterator[Callable[[Embedding], None]]:
    """A file of many embeddings; call what this gives with each. It appears when all are written."""
    with atomic(path) as file:

        def add(embedding: Embedding) -> None:
            file.writelines(encode_line(line) for line in embedding_lines(embedding))

        yield add
        if not file.tell():
            raise Nothing


def _dense(values: Any, window: WindowEmbedding, name: str) -> list[Any] | None:
    """Rows, and None where the modality is missing; times, which always are, as they are."""
    if values.dtype == np.float64:
        return list(values.tolist())
    there = window.has_video if name.startswith("video") else window.has_audio
    return [_digits(row, there) for row in values] if there else None


def _digits(values: Any, there: bool) -> list[float] | None:
    """None where a modality is missing, or where the model has no such output."""
    if not there or not len(values):
        return None
    return [float(f"{value:.9g}") for value in values.tolist()]
