"""What is measured: a bundle, or a baseline that gives embeddings in the same form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from avfeat.embedding import Embedding, Failure
from avfeat.encoder import Encoder

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
        return self._encoder.embed_many(files, hop=hop, start=start, workers=workers)
