"""Draws the synthetic dataset: a film strip and a spectrogram of one video of each class.

python docs/draw_synthetic.py docs/images/synthetic-dataset.jpg
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("agg")

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from avfeat.world import SyntheticVideo, plan, render
from avfeat.world.classes import BY_NAME, CATEGORIES

SHOWN, FPS, SIZE, RATE = 2.0, 8, 72, 16_000


def spectrogram(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Magnitudes in dB, ``(frequencies, times)`` up to 4 kHz, of windows of 32 ms every 5 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 512)[::80] * np.hanning(512)
    return 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)).T[:128] + 1e-4)


def example(category: str) -> SyntheticVideo:
    """A video of the class whose event spans all of it."""
    return next(video for video in plan(560) if video.category == category and video.end - video.start == 10)


def main() -> None:
    """Draw all classes, two columns of them."""
    per_row = 2
    rows = len(CATEGORIES) // per_row
    figure, axes = plt.subplots(rows, 2 * per_row, figsize=(20, 1.02 * rows), width_ratios=[16, 6] * per_row)
    for number, category in enumerate(CATEGORIES):
        made = render(example(category.name), fps=FPS, size=SIZE, sample_rate=RATE)
        assert made.frames is not None and made.waveform is not None
        count = round(SHOWN * FPS)
        strip, sound = axes[number % rows, 2 * (number // rows) : 2 * (number // rows) + 2]
        strip.imshow(np.concatenate(list(made.frames[FPS : FPS + count]), axis=1), aspect="auto")
        sound.imshow(
            spectrogram(made.waveform[RATE : RATE + round(SHOWN * RATE)]),
            origin="lower",
            aspect="auto",
            cmap="magma",
        )
        parts = BY_NAME[category.name]
        strip.set_title(
            f"{category.name}   ({parts.motion}, {parts.voice}, {parts.rhythm}, {parts.coupling})",
            fontsize=7,
            loc="left",
            pad=2,
        )
        for axis in (strip, sound):
            axis.set_xticks([])
            axis.set_yticks([])
    figure.tight_layout(pad=0.2, h_pad=0.2, w_pad=0.2)
    figure.savefig(sys.argv[1], dpi=80, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
