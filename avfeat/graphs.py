"""What a bundle says: its graphs, what goes in and out of them, and which files run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from avfeat.dense import ROWS, DenseRows
from avfeat.media import AudioSpec, VideoSpec

Modality = Literal["video", "audio"]
Precision = Literal["fp32", "fp16", "int8"]
MODALITIES: tuple[Modality, ...] = ("video", "audio")
MIN_SIZE, MAX_SIZE = 16, 4320
"""Sides of frames that graphs take, in pixels."""


@dataclass(frozen=True)
class Port:
    """One input or output of a graph: its name, NumPy dtype and shape (a string is a dynamic dimension)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Graph:
    """One modality's encoder: a file for each backend, and what goes in and out.

    ``shared`` is None for a network that has no space in which audio and video compare, ``frames`` for one that
    gives no rows within a window.
    """

    files: Mapping[str, str]
    input: Port
    features: Port
    shared: Port | None
    frames: DenseRows | None = None

    @property
    def outputs(self) -> Mapping[str, Port]:
        """The outputs that there are, by what they mean."""
        rows = self.frames
        dense = None if rows is None else Port(rows.name, "float32", ("batch", ROWS, rows.dim))
        ports = {"features": self.features, "shared": self.shared, "frames": dense}
        return {key: port for key, port in ports.items() if port is not None}

    @property
    def widths(self) -> tuple[int, int]:
        """Elements of a row of ``features`` and of ``shared``; 0 for an output that is not there."""
        return int(self.features.shape[1]), 0 if self.shared is None else int(self.shared.shape[1])


@dataclass(frozen=True)
class TextGraph:
    """The encoder of sentences: a file for each backend, its tokenizer, and what goes in and out.

    Attributes:
        files: by backend.
        tokenizer: the file of the tokenizer, as the package ``tokenizers`` writes it.
        ids: int64 ``(batch, length)``, numbers of tokens.
        mask: int64 ``(batch, length)``, 1 for tokens and 0 for padding; None for a network that takes none.
        shared: float32 ``(batch, dim)``, rows of length 1.
        compares: the modalities whose ``shared`` lies in the same space.
    """

    files: Mapping[str, str]
    tokenizer: str
    ids: Port
    mask: Port | None
    shared: Port
    compares: tuple[Modality, ...]

    @property
    def inputs(self) -> tuple[Port, ...]:
        """What goes in."""
        return (self.ids,) if self.mask is None else (self.ids, self.mask)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What ``bundle.json`` says.

    Attributes:
        name: of the model.
        licence: of the weights.
        trained: False for encoders with random weights.
        seconds: length of a window.
        video: how frames are sampled for ``video_graph``; None for a bundle of audio alone.
        audio: how audio is sampled for ``audio_graph``; None for a bundle of video alone.
        video_graph: the video encoder, or None.
        audio_graph: the audio encoder, or None.
        precision: of the weights and the arithmetic.
        provenance: where it comes from, free form.
        parity: how far the files are from their reference, free form.
        listed: the files that have a checksum, all of which have been compared.
        text: the encoder of sentences, or None.
        motion: whether the video encoder compares frames with each other; False where it sees them one by one.
    """

    name: str
    licence: str
    trained: bool
    seconds: float
    video: VideoSpec | None
    audio: AudioSpec | None
    video_graph: Graph | None
    audio_graph: Graph | None
    precision: Precision
    provenance: Mapping[str, Any]
    parity: Mapping[str, Any]
    listed: frozenset[str] = frozenset()
    text: TextGraph | None = None
    motion: bool = True
