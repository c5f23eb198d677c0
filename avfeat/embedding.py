"""Results: rows on the grid, with masks where a modality is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import MediaError, Reason
from avfeat.stamp import Stamp

FloatRows = NDArray[np.float32]


@dataclass(frozen=True)
class WindowEmbedding:
    """The embedding of one window; a missing modality is zeros and masked.

    Attributes:
        start: of the window, seconds of presentation time.
        end: of the window: start plus the bundle's seconds.
        video: float32 ``(d_video,)``, backbone features.
        audio: float32 ``(d_audio,)``, backbone features.
        video_shared: float32 ``(d,)`` of unit length, comparable to ``audio_shared`` by dot product.
        audio_shared: float32 ``(d,)`` of unit length.
        has_video: whether a frame was on screen.
        has_audio: whether there was audio.
        video_frames: float32 ``(T, d)``, a row for each frame; None where the bundle has none.
        video_frame_times: float64 ``(T,)``, their instants, seconds of presentation time; None likewise.
        audio_frames: float32 ``(T, d)``, a row for each step of the sound; None where the bundle has none.
        audio_frame_times: float64 ``(T,)``, their instants; None likewise.
    """

    start: float
    end: float
    video: FloatRows
    audio: FloatRows
    video_shared: FloatRows
    audio_shared: FloatRows
    has_video: bool
    has_audio: bool
    video_frames: FloatRows | None = None
    video_frame_times: NDArray[np.float64] | None = None
    audio_frames: FloatRows | None = None
    audio_frame_times: NDArray[np.float64] | None = None


DENSE = ("video_frames", "video_frame_times", "audio_frames", "audio_frame_times")
"""What only bundles with dense rows give."""


@dataclass(frozen=True)
class Embedding:
    """The embedding of one source: n rows, the same windows for audio and video.

    Attributes:
        start: float64 ``(n,)``, seconds on the presentation timeline.
        end: float64 ``(n,)``, ``start`` plus the bundle's seconds.
        video: float32 ``(n, d_video)``, backbone features, for probes.
        audio: float32 ``(n, d_audio)``, backbone features, for probes.
        video_shared: float32 ``(n, d)``, L2-normalised; audio and video compare by dot product.
        audio_shared: float32 ``(n, d)``, L2-normalised.
        has_video: bool ``(n,)``; rows of a missing stream are zeros.
        has_audio: bool ``(n,)``; rows of a missing stream are zeros.
        source: what was embedded, as the caller named it.
        bundle: sha256 of the bundle.
        seconds: length of a window.
        hop: distance between windows in seconds.
        duration: end of the later stream in seconds.
        damaged: whether something in the media was damaged.
        damage: what, in words.
        choice: the tracks that were asked for (``audio_track``, ``video_track``), empty for the default ones.
        stamp: size, time and hash of the file from before it was read; None where nobody asked.
        video_frames: float32 ``(n, T, d)``, dense rows: one for each of a window's frames; zeros where the stream
            is missing, None where the bundle has none.
        video_frame_times: float64 ``(n, T)``, their instants, seconds on the presentation timeline; None likewise.
        audio_frames: float32 ``(n, T, d)``, one for each step of a window's sound; zeros where the stream is
            missing, None where the bundle has none.
        audio_frame_times: float64 ``(n, T)``, their instants; None likewise.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    video: FloatRows
    audio: FloatRows
    video_shared: FloatRows
    audio_shared: FloatRows
    has_video: NDArray[np.bool_]
    has_audio: NDArray[np.bool_]
    source: str
    bundle: str
    seconds: float
    hop: float
    duration: float
    damaged: bool
    damage: tuple[str, ...] = ()
    choice: dict[str, int] = field(default_factory=dict)
    stamp: Stamp | None = None
    video_frames: FloatRows | None = None
    video_frame_times: NDArray[np.float64] | None = None
    audio_frames: FloatRows | None = None
    audio_frame_times: NDArray[np.float64] | None = None

    @classmethod
    def from_windows(
        cls,
        rows: Sequence[WindowEmbedding],
        *,
        source: str,
        bundle: str,
        seconds: float,
        hop: float,
        duration: float,
        damage: tuple[str, ...],
        choice: dict[str, int] | None = None,
    ) -> Embedding:
        """The embedding of a source from its windows, one or more; the rest as the attributes say."""
        return cls(
            start=np.array([row.start for row in rows], dtype=np.float64),
            end=np.array([row.end for row in rows], dtype=np.float64),
            video=np.stack([row.video for row in rows]),
            audio=np.stack([row.audio for row in rows]),
            video_shared=np.stack([row.video_shared for row in rows]),
            audio_shared=np.stack([row.audio_shared for row in rows]),
            has_video=np.array([row.has_video for row in rows], dtype=np.bool_),
            has_audio=np.array([row.has_audio for row in rows], dtype=np.bool_),
            source=source,
            bundle=bundle,
            seconds=seconds,
            hop=hop,
            duration=duration,
            damaged=bool(damage),
            damage=damage,
            choice=choice or {},
            stamp=None,
            **{name: np.stack([getattr(row, name) for row in rows]) for name in dense_of(rows[0])},
        )

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.start)

    def windows(self) -> Iterator[WindowEmbedding]:
        """The rows one by one."""
        for row in range(len(self)):
            yield WindowEmbedding(
                start=float(self.start[row]),
                end=float(self.end[row]),
                video=self.video[row],
                audio=self.audio[row],
                video_shared=self.video_shared[row],
                audio_shared=self.audio_shared[row],
                has_video=bool(self.has_video[row]),
                has_audio=bool(self.has_audio[row]),
                **{name: values[row] for name, values in dense_of(self).items()},
            )

    def without_dense(self) -> Embedding:
        """The same without rows within windows."""
        return replace(self, video_frames=None, video_frame_times=None, audio_frames=None, audio_frame_times=None)

    def pooled(self) -> FloatRows:
        """One vector for the whole source: float32 ``(d_video + d_audio,)``.

        The mean of each modality's rows over the windows that have it, each weighted by the time of the window
        that the media covers, ``min(end, duration) - max(start, 0)``; zeros for a modality that is nowhere.
        """
        covered = np.clip(np.minimum(self.end, self.duration) - np.maximum(self.start, 0.0), 0.0, None)
        video = _weighted_mean(self.video, covered * self.has_video)
        audio = _weighted_mean(self.audio, covered * self.has_audio)
        return np.concatenate([video, audio])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, which appears whole or not at all; ``avfeat.read`` gives it again.

        Args:
            path: its suffix is the format: ``.npz``, ``.jsonl``, ``.parquet``, ``.h5``; ``.npy`` for ``pooled()``.

        Raises:
            ArgumentError: another suffix.
            OutputError: it cannot be written there.
            BackendError: the format needs a package that is not installed.
        """
        from avfeat.writers import save

        save(path, self)

    def to_frame(self) -> Any:
        """A pandas ``DataFrame``: a row a window, vectors in cells (None where a modality is missing).

        Columns: ``source window start end has_video has_audio video audio video_shared audio_shared``.

        Raises:
            BackendError: pandas is not installed.
        """
        from avfeat.showing import frame_of

        return frame_of(self)

    def _repr_html_(self) -> str:
        """What notebooks show."""
        from avfeat.showing import html_of

        return html_of(self)


def dense_of(found: WindowEmbedding | Embedding) -> dict[str, NDArray[Any]]:
    """The dense rows and their times that there are, by the attribute's name."""
    return {name: values for name in DENSE if (values := getattr(found, name)) is not None}


@dataclass(frozen=True)
class Failure:
    """A source of ``embed_many`` that gave no embedding: a value, so that the others go on.

    Attributes:
        source: as the caller named it.
        reason: as of a ``MediaError``.
        message: one sentence for people.
    """

    source: str
    reason: Reason
    message: str

    @classmethod
    def from_error(cls, error: MediaError) -> Failure:
        """The value that stands for ``error``."""
        return cls(error.source, error.reason, str(error))


def _weighted_mean(rows: FloatRows, weights: NDArray[np.float64]) -> FloatRows:
    total = weights.sum()
    if total <= 0:
        return np.zeros(rows.shape[1], dtype=np.float32)
    mean: NDArray[np.float64] = weights @ rows.astype(np.float64) / total
    return mean.astype(np.float32)
