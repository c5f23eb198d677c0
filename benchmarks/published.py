"""The published networks that ``base`` starts from and learns from, measured as a bundle is: to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avfeat.embedding import Embedding, Failure, FloatRows
from avfeat.evaluation import Store
from avfeat.evaluation.embedders import WindowEmbedder
from avfeat.grid import Grid
from avfeat.media import AudioSpec, VideoSpec, Window
from avfeat.training.backbones.mn04 import SAMPLE_RATE, load_mn04
from avfeat.training.networks import PAIRS
from avfeat.training.networks.lite0 import MEAN, STD, lite0_trunk, published_lite0

NAME = "EfficientNet-Lite0 + mn04"
_SPEC = PAIRS["base"]
_FRAMES = (_SPEC.frames // 4, 3 * _SPEC.frames // 4)
"""The two of a window that ``base`` looks at, too."""

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """What was fitted on training clips: each dimension's mean and deviation, and canonical correlations.

    Attributes:
        mean: of video and audio features.
        std: likewise.
        maps: to the space of the canonical variates, each scaled by its correlation.
    """

    mean: tuple[Rows, Rows]
    std: tuple[Rows, Rows]
    maps: tuple[Rows, Rows]

    @classmethod
    def fitted(cls, video: Rows, audio: Rows, components: int, dimensions: int) -> Linear:
        """From means of clips; canonical correlations (Hotelling 1936) of their first principal components."""
        sides = [_scaled(rows, components) for rows in (video, audio)]
        (left, (first, second)), (right, (third, fourth)) = ((side[3], side[1:3]) for side in sides)
        u, correlation, vt = np.linalg.svd(left.T @ right / len(left))
        kept = correlation[:dimensions]
        maps = tuple(side[0] @ basis[:, :dimensions] * kept for side, basis in zip(sides, (u, vt.T), strict=True))
        return cls((first, third), (second, fourth), (maps[0], maps[1]))

    def apply(self, side: int, rows: Rows) -> tuple[Rows, Rows]:
        """Standardised rows, and those in the space of both."""
        standard = (rows - self.mean[side]) / self.std[side]
        return standard, standard @ self.maps[side]


def _scaled(rows: Rows, components: int) -> tuple[Rows, Rows, Rows, Rows]:
    """The whitening map of the first principal components, mean, deviation, and the whitened rows."""
    mean, std = rows.mean(0), rows.std(0) + 1e-6
    _, values, vt = np.linalg.svd((rows - mean) / std, full_matrices=False)
    white = vt[:components].T / values[:components] * np.sqrt(len(rows))
    return white, mean, std, (rows - mean) / std @ white


class PublishedEmbedder(WindowEmbedder):
    """Embeds windows as the published networks do: a mean of two frames, and two seconds of sound."""

    name = NAME

    def __init__(self, audio: Path) -> None:
        """Load both."""
        self.seconds = _SPEC.seconds
        self.key = ("published", "raw")
        self._see, self._hear = lite0_trunk(), load_mn04(audio)
        published_lite0().load_into(self._see)
        self._see.eval()
        self.video = VideoSpec(_SPEC.fps, _SPEC.frames, _SPEC.size)
        self.audio = AudioSpec(SAMPLE_RATE, round(SAMPLE_RATE * self.seconds))

    def embed_many(
        self, files: Iterable[Path], *, hop: float, start: float, workers: int | None
    ) -> Iterator[Embedding | Failure]:
        """Embed files one after the other."""
        for file in files:
            yield self.embed(file, Grid.from_seconds(self.seconds, hop, start))

    @torch.inference_mode()
    def features(self, window: Window) -> tuple[FloatRows, FloatRows]:
        """Means over the two frames, and what the sound network gives."""
        video, audio = np.zeros(1280, np.float32), np.zeros(384, np.float32)
        if window.frames is not None:
            frames = torch.from_numpy(np.stack([window.frames[at] for at in _FRAMES])).permute(0, 3, 1, 2).float()
            scaled = (frames / 255 - MEAN[0]) / STD[0]
            video = self._see.forward_features(scaled).mean((0, 2, 3)).numpy()
        if window.waveform is not None:
            audio = self._hear(torch.from_numpy(window.waveform)[None])[0][0].numpy()
        return video, audio


class Fitted:
    """The published networks behind what was fitted on training clips; what is kept is not computed again."""

    name = NAME

    def __init__(self, raw: PublishedEmbedder, linear: Linear, store: Store) -> None:
        """Standardise features, and map them to the space of both."""
        self.seconds = raw.seconds
        self.key = ("published", f"{linear.maps[0].shape[1]} variates")
        self._raw, self._linear, self._store = raw, linear, store

    def embed_many(
        self, files: Iterable[Path], *, hop: float, start: float, workers: int | None
    ) -> Iterator[Embedding | Failure]:
        """Embed files one after the other."""
        for _, found in self._store.embeddings(self._raw, files, hop=hop, start=start, workers=workers):
            yield found if isinstance(found, Failure) else self._fitted(found)

    def _fitted(self, found: Embedding) -> Embedding:
        (video, first), (audio, second) = (
            tuple(
                (part * mask[:, None]).astype(np.float32)
                for part in self._linear.apply(side, rows.astype(np.float64))
            )
            for side, (rows, mask) in enumerate(((found.video, found.has_video), (found.audio, found.has_audio)))
        )
        return replace(found, video=video, audio=audio, video_shared=first, audio_shared=second)
