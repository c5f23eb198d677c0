"""A baseline that has learned nothing: colours of the frames, and statistics of the audio's MFCCs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfeat.embedding import Embedding, Failure, FloatRows
from avfeat.evaluation.embedders import WindowEmbedder
from avfeat.grid import Grid
from avfeat.media import AudioSpec, VideoSpec, Window
from avfeat.processors import available_processors

VERSION = "1"
"""Of what is computed: a change of it makes kept embeddings void."""

_FPS, _SIZE, _LEVELS = 8, 64, 4
_RATE, _FRAME, _STEP = 16_000, 400, 160
_MELS, _COEFFICIENTS = 40, 20
_FLOOR = 1e-6
_AT_ONCE = 64


class Handcrafted(WindowEmbedder):
    """Embeds windows as colour histograms and MFCC statistics, on the grid of a bundle; it has no shared space."""

    name = "colours + MFCC"

    def __init__(self, seconds: float) -> None:
        """Take windows of ``seconds``."""
        self.seconds = seconds
        self.key = (f"handcrafted-{VERSION}", str(seconds))
        self.video = VideoSpec(_FPS, round(_FPS * seconds), _SIZE)
        self.audio = AudioSpec(_RATE, round(_RATE * seconds))

    def embed_many(
        self, files: Iterable[Path], *, hop: float, start: float, workers: int | None
    ) -> Iterator[Embedding | Failure]:
        """Embed files in order, several at a time."""
        grid, waiting = Grid.from_seconds(self.seconds, hop, start), iter(files)
        with ThreadPoolExecutor(workers or available_processors()) as pool:
            while taken := list(islice(waiting, _AT_ONCE)):
                yield from pool.map(lambda file: self.embed(file, grid), taken)

    def features(self, window: Window) -> tuple[FloatRows, FloatRows]:
        """Colours of the frames, and statistics of the audio."""
        colours, sound = np.zeros(_LEVELS**3, np.float32), np.zeros(3 * _COEFFICIENTS, np.float32)
        if window.frames is not None:
            colours = colour_histogram(window.frames)
        if window.waveform is not None:
            sound = mfcc_statistics(window.waveform)
        return colours, sound


def colour_histogram(frames: NDArray[np.uint8]) -> FloatRows:
    """Square roots of the shares of 4 x 4 x 4 RGB colours: float32 ``(64,)`` of unit length.

    The dot product of two is the Bhattacharyya coefficient of the histograms.

    Args:
        frames: uint8 ``(n, height, width, 3)`` RGB.
    """
    level = frames.astype(np.intp) * _LEVELS // 256
    cell = (level[..., 0] * _LEVELS + level[..., 1]) * _LEVELS + level[..., 2]
    share = np.bincount(cell.reshape(-1), minlength=_LEVELS**3) / cell.size
    root: FloatRows = np.sqrt(share).astype(np.float32)
    return root


def mfcc(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mel-frequency cepstral coefficients (Davis and Mermelstein 1980): ``(frames, 20)``.

    Hann windows of 25 ms every 10 ms, 40 triangular mel bands from 0 to 8 kHz (HTK's mel), natural logarithm of
    the power, orthonormal DCT-II.

    Args:
        waveform: float32 ``(samples,)`` in [-1, 1] at 16 kHz, 400 samples or more.
    """
    frames = np.lib.stride_tricks.sliding_window_view(waveform.astype(np.float64), _FRAME)[::_STEP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), 512)) ** 2
    return np.log(power @ _mel_bands() + _FLOOR) @ _cosines()


def mfcc_statistics(waveform: NDArray[np.float32]) -> FloatRows:
    """Mean of each coefficient over a window, its deviation, and that of its change: float32 ``(60,)``."""
    found = mfcc(waveform)
    change = np.diff(found, axis=0)
    return np.concatenate([found.mean(0), found.std(0), change.std(0)]).astype(np.float32)


@cache
def _mel_bands() -> NDArray[np.float64]:
    """Triangles ``(257, 40)``: equal distances on ``2595 log10(1 + f / 700)``."""
    top = 2595 * np.log10(1 + _RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, _MELS + 2) / 2595) - 1)
    frequency = np.arange(257)[:, None] * _RATE / 512
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)


@cache
def _cosines() -> NDArray[np.float64]:
    """The first columns of the orthonormal DCT-II ``(40, 20)``."""
    angle = np.pi / _MELS * (np.arange(_MELS)[:, None] + 0.5) * np.arange(_COEFFICIENTS)
    scale = np.where(np.arange(_COEFFICIENTS) == 0, np.sqrt(1 / _MELS), np.sqrt(2 / _MELS))
    cosines: NDArray[np.float64] = np.cos(angle) * scale
    return cosines
