"""Media that tells the time: every picture shows its number, every sample's value is its time."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
from making import AudioTrack, VideoTrack, make_media
from numpy.typing import NDArray

ROWS, COLUMNS = 3, 4
LONGEST = 8.0


def numbered(fps: Fraction, start: float = 0.0, side: int = 96):
    """Pictures that show their number in black and white blocks, a binary digit each."""

    def picture(time: float) -> NDArray[np.uint8]:
        number = round((time - start) * fps)
        bits = [(number >> digit) & 1 for digit in range(ROWS * COLUMNS)]
        blocks = np.array(bits, dtype=np.uint8).reshape(ROWS, COLUMNS) * 190 + 30
        return np.repeat(np.kron(blocks, np.ones((side // ROWS, side // COLUMNS), np.uint8))[..., None], 3, axis=2)

    return picture


def number_of(pixels: NDArray[np.uint8]) -> int:
    """The number that a square picture shows."""
    size = pixels.shape[0]
    number = 0
    for digit in range(ROWS * COLUMNS):
        row, column = divmod(digit, COLUMNS)
        y, x = int((row + 0.5) * size / ROWS), int((column + 0.5) * size / COLUMNS)
        number |= int(pixels[y - 1 : y + 2, x - 1 : x + 2].mean() > 125) << digit
    return number


def ramp(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """A value for every time up to 8 s, from -0.9 to 0.9."""
    return 1.8 * times / LONGEST - 0.9


def time_of(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The times at which these samples were heard."""
    return (samples.astype(np.float64) + 0.9) / 1.8 * LONGEST


def clock(
    path: Path,
    video: float | None = 6.0,
    audio: float | None = 6.0,
    fps: Fraction = Fraction(25),
    rate: int = 16_000,
    video_start: float = 0.0,
    audio_start: float = 0.0,
) -> Path:
    """A Matroska file with both, neither losing anything that a test looks at."""
    pictures = sound = None
    if video is not None:
        pictures = VideoTrack(video, fps, numbered(fps, video_start), start=video_start)
    if audio is not None:
        codec = "pcm_s16le"
        sound = AudioTrack(audio, rate, ramp, start=audio_start, codec=codec)
    return make_media(path, pictures, sound)


def on_screen(time: float, fps: Fraction, count: int) -> int:
    """The number of the picture that is on screen, the nearest one outside the video."""
    return min(max(math.floor(time * fps), 0), count - 1)
