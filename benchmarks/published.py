"""The published networks that ``base`` starts from and learns from, measured as a bundle is: to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avfeat.embedding import Embedding, Failure
from avfeat.errors import MediaError
from avfeat.grid import MICROSECONDS, Grid
from avfeat.media import AudioSpec, Outcome, VideoSpec, Window, media_windows
from avfeat.training.networks import PAIRS
from avfeat.training.networks.lite0 import MEAN, STD, lite0_trunk, published_lite0
from avfeat.training.teachers.mn04 import SAMPLE_RATE, load_mn04

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


class Published:
    """Embeds windows as the published networks do: a mean of two frames, and two seconds of sound."""

    name = NAME

    def __init__(self, audio: Path, linear: Linear | None = None) -> None:
        """Load both; ``linear`` standardises and gives a shared space, None leaves features as they are."""
        self.seconds = _SPEC.seconds
        self.key = ("published", "fitted" if linear else "raw")
        self._linear = linear
        self._video, self._audio = lite0_trunk(), load_mn04(audio)
        published_lite0().load_into(self._video)
        self._video.eval()
        self._specs = (
            VideoSpec(_SPEC.fps, _SPEC.frames, _SPEC.size),
            AudioSpec(SAMPLE_RATE, round(SAMPLE_RATE * self.seconds)),
        )

    def embed_many(
        self, files: Iterable[Path], *, hop: float, start: float, workers: int | None
    ) -> Iterator[Embedding | Failure]:
        """Embed files one after the other."""
        for file in files:
            yield self._embed(file, Grid.of(self.seconds, hop, start))

    def _embed(self, file: Path, grid: Grid) -> Embedding | Failure:
        outcome = Outcome()
        try:
            rows = [self._row(one) for one in media_windows(file, grid, *self._specs, threads=1, outcome=outcome)]
        except MediaError as error:
            return Failure.of(error)
        begun = np.array([row[0] for row in rows])
        video, audio = (np.stack([row[side] for row in rows]).astype(np.float64) for side in (1, 2))
        both: Sequence[tuple[Rows, Rows]] = [(side, side[:, :0]) for side in (video, audio)]
        if self._linear is not None:
            both = [self._linear.apply(side, given) for side, given in enumerate((video, audio))]
        there = [np.array([row[side] for row in rows]) for side in (3, 4)]
        (video, first), (audio, second) = [
            tuple((part * mask[:, None]).astype(np.float32) for part in pair)
            for pair, mask in zip(both, there, strict=True)
        ]
        return Embedding(
            start=begun,
            end=begun + self.seconds,
            video=video,
            audio=audio,
            video_shared=first,
            audio_shared=second,
            has_video=there[0],
            has_audio=there[1],
            source=str(file),
            bundle=self.key[0],
            seconds=self.seconds,
            hop=grid.hop / MICROSECONDS,
            duration=outcome.duration / MICROSECONDS,
            damaged=bool(outcome.damage),
            damage=outcome.damage,
        )

    @torch.inference_mode()
    def _row(self, window: Window) -> tuple[float, NDArray[np.float32], NDArray[np.float32], bool, bool]:
        video, audio = np.zeros(1280, np.float32), np.zeros(384, np.float32)
        if window.frames is not None:
            frames = torch.from_numpy(np.stack([window.frames[at] for at in _FRAMES])).permute(0, 3, 1, 2).float()
            scaled = (frames / 255 - MEAN[0]) / STD[0]
            video = self._video.forward_features(scaled).mean((0, 2, 3)).numpy()
        if window.waveform is not None:
            audio = self._audio(torch.from_numpy(window.waveform)[None])[0][0].numpy()
        return window.start / MICROSECONDS, video, audio, window.frames is not None, window.waveform is not None
