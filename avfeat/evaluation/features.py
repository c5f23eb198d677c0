"""From the windows of a file to the rows that protocols work on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfeat.embedding import Embedding, Failure, FloatRows
from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset
from avfeat.evaluation.embedders import Embedder
from avfeat.evaluation.store import Store, Tell, silent

MODALITIES = ("video", "audio", "av")
SEGMENTS = 10


@dataclass(frozen=True)
class Features:
    """What a protocol takes of one file: one row for the file, or one a second.

    Attributes:
        video: float32 ``(n, d_video)``; zeros where nothing is seen.
        audio: float32 ``(n, d_audio)``; zeros where nothing is heard.
        video_shared: float32 ``(n, d)``.
        audio_shared: float32 ``(n, d)``.
        has_video: whether anything is seen in the file.
        has_audio: whether anything is heard in it.
    """

    video: FloatRows
    audio: FloatRows
    video_shared: FloatRows
    audio_shared: FloatRows
    has_video: bool
    has_audio: bool

    def rows(self, modality: str) -> FloatRows:
        """The rows of ``video``, ``audio``, or both side by side (``av``)."""
        if modality == "av":
            return np.concatenate([self.video, self.audio], axis=1)
        return self.video if modality == "video" else self.audio

    def has(self, modality: str) -> bool:
        """Whether the file has ``video``, ``audio``, or both (``av``)."""
        return {"video": self.has_video, "audio": self.has_audio}.get(modality, self.has_video and self.has_audio)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of ``MODALITIES`` that whoever made the features has an encoder for."""
        there = tuple(name for name in ("video", "audio") if self.rows(name).shape[1])
        return MODALITIES if len(there) == 2 else there


def of_file(embedding: Embedding) -> Features:
    """One row: the mean over the windows that have the modality; zeros if none has."""
    seen, heard = embedding.has_video, embedding.has_audio
    return Features(
        video=_mean(embedding.video, seen),
        audio=_mean(embedding.audio, heard),
        video_shared=_mean(embedding.video_shared, seen),
        audio_shared=_mean(embedding.audio_shared, heard),
        has_video=bool(seen.any()),
        has_audio=bool(heard.any()),
    )


def of_seconds(embedding: Embedding) -> Features:
    """Ten rows, one a second, of an embedding with a window centred on each second.

    A short file has fewer windows: the grid opens none for what the window before has shown already. The seconds
    that are left take the last row. What a longer file has beyond ten seconds is left out.
    """
    take = np.minimum(np.arange(SEGMENTS), len(embedding) - 1)
    return Features(
        video=embedding.video[take],
        audio=embedding.audio[take],
        video_shared=embedding.video_shared[take],
        audio_shared=embedding.audio_shared[take],
        has_video=bool(embedding.has_video.any()),
        has_audio=bool(embedding.has_audio.any()),
    )


@dataclass
class Collected:
    """The features of a data set's files, and what became of the others."""

    features: dict[Path, Features] = field(default_factory=dict)
    missing: dict[Path, Failure] = field(default_factory=dict)
    damaged: dict[Path, str] = field(default_factory=dict)


def collect(
    files: Iterable[Path],
    embedder: Embedder,
    store: Store,
    reduce: Callable[[Embedding], Features],
    *,
    hop: float,
    start: float,
    workers: int | None = None,
    progress: Tell = silent,
) -> Collected:
    """Embed files, or take what is kept, and reduce each to its rows; arguments as of ``Store.embeddings``."""
    found = Collected()
    for file, result in store.embeddings(embedder, files, hop=hop, start=start, workers=workers, progress=progress):
        if isinstance(result, Failure):
            found.missing[file] = result
            continue
        found.features[file] = reduce(result)
        if result.damaged:
            found.damaged[file] = "; ".join(result.damage)
    return found


def check_any(dataset: Dataset, found: Collected) -> None:
    """Raise if no file of a data set has an embedding.

    Raises:
        DatasetError: none has; it says why, and names the first.
    """
    if found.features:
        return
    reasons = Counter(failure.reason for failure in found.missing.values())
    told = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in reasons.most_common())
    raise DatasetError(
        f"{dataset.name}: none of the {len(dataset.files):,} files of its {len(dataset.items):,} rows can be "
        f"embedded ({told}); the first would be {next(iter(found.missing), None)}."
    )


def stack_features(features: Mapping[Path, Features], files: Iterable[Path], modality: str) -> NDArray[np.float32]:
    """The rows of files, one below the other: float32 ``(files, rows, d)``."""
    return np.stack([features[file].rows(modality) for file in files])


def _mean(rows: FloatRows, mask: NDArray[np.bool_]) -> FloatRows:
    if not mask.any():
        return np.zeros((1, rows.shape[1]), np.float32)
    mean: FloatRows = rows[mask].mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
    return mean
