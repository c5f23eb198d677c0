"""What is measured: a bundle, or a baseline that gives embeddings in the same form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from avfeat.embedding import Embedding, Failure, FloatRows, WindowEmbedding
from avfeat.encoder import Encoder
from avfeat.errors import MediaError
from avfeat.grid import MICROSECONDS, Grid
from avfeat.media import AudioSpec, VideoSpec, Window, media_windows

RANDOM_INIT = "random-init"
"""What the row of an untrained bundle is called."""


class Embedder(Protocol):
    """Something that embeds files on a time grid."""

    @property
    def name(self) -> str:
        """What its row of a table is called."""

    @property
    def key(self) -> tuple[str, ...]:
        """What its embeddings depend on, other than the file and the grid."""

    @property
    def seconds(self) -> float:
        """Length of a window."""

    def embed_many(
        self, files: Iterable[Path], *, hop: float, start: float, workers: int | None
    ) -> Iterator[Embedding | Failure]:
        """Embed files in order, several at a time."""


class BundleEmbedder:
    """A bundle, as it is deployed."""

    def __init__(self, encoder: Encoder, name: str | None = None, backend: str = "onnx") -> None:
        """Measure ``encoder``, which runs ``backend``; its row is called as its bundle is, or ``name``."""
        self.name = encoder.bundle.name if name is None else name
        # Another backend or device computes slightly other values, and this measures those.
        self.key = (encoder.bundle.sha256, backend, encoder.device)
        self.seconds = encoder.bundle.seconds
        self._encoder = encoder

    def embed_many(
        self, files: Iterable[Path], *, hop: float, start: float, workers: int | None
    ) -> Iterator[Embedding | Failure]:
        """Embed files with the bundle."""
        found = self._encoder.embed_many(files, hop=hop, start=start, workers=workers)
        # Nothing that is measured looks at dense rows, which are most of an embedding.
        return (one.without_dense() if isinstance(one, Embedding) else one for one in found)


class WindowEmbedder(ABC):
    """A baseline that computes the features of one window at a time; it has no shared space.

    Attributes:
        key: as of an ``Embedder``; its first part stands for the bundle.
        seconds: length of a window.
        video: what a window's frames are.
        audio: what a window's samples are.
    """

    key: tuple[str, ...]
    seconds: float
    video: VideoSpec
    audio: AudioSpec

    @abstractmethod
    def features(self, window: Window) -> tuple[FloatRows, FloatRows]:
        """Features of a window: float32 ``(d_video,)`` and ``(d_audio,)``; zeros for what is not there."""

    def embed(self, file: Path, grid: Grid) -> Embedding | Failure:
        """Embed one file, with one decoding thread."""
        windows = media_windows(file, grid, self.video, self.audio, threads=1)
        try:
            rows = [self._row(window) for window in windows]
        except MediaError as error:
            return Failure.from_error(error)
        return Embedding.from_windows(
            rows,
            source=str(file),
            bundle=self.key[0],
            seconds=self.seconds,
            hop=grid.hop / MICROSECONDS,
            duration=windows.outcome.duration / MICROSECONDS,
            damage=windows.outcome.damage,
        )

    def _row(self, window: Window) -> WindowEmbedding:
        video, audio = self.features(window)
        begun, nothing = window.start / MICROSECONDS, np.zeros(0, np.float32)
        seen, heard = window.frames is not None, window.waveform is not None
        return WindowEmbedding(begun, begun + self.seconds, video, audio, nothing, nothing, seen, heard)
