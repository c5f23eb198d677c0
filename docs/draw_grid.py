"""Draws ``docs/images/grid.png``: the example clip on its time grid.

python docs/draw_grid.py examples/bounce.mp4 docs/images/grid.png
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import avfeat
from avfeat.media import decode

HOP = 0.25


def draw(clip: str, out: str) -> None:
    """Film strip, waveform with the default windows, and how far each window is from the one before."""
    encoder = avfeat.load()
    decoded = decode(clip)
    embedding = encoder.embed(clip, hop=HOP)
    assert decoded.frames is not None and decoded.waveform is not None
    figure, (film, sound, change) = plt.subplots(
        3, 1, figsize=(10, 4.6), sharex=True, gridspec_kw={"height_ratios": [1.1, 0.8, 1]}, layout="constrained"
    )
    strip = np.concatenate(list(decoded.frames[4::8]), axis=1)
    film.imshow(strip, extent=(0, len(decoded.frames) / decoded.fps, 0, 1), aspect="auto")
    film.set_yticks([])
    film.set_title(
        "one clip, one time grid: windows of 2 s, the same for what is seen and what is heard", fontsize=10
    )
    times = np.arange(len(decoded.waveform)) / decoded.sample_rate
    sound.plot(times[::8], decoded.waveform[::8], linewidth=0.4, color="0.3")
    sound.set_yticks([])
    for axis in (film, sound):
        for k in range(6):
            axis.axvline(k * encoder.bundle.seconds, color="tab:orange", linewidth=1.4)
    for name, rows in (("video", embedding.video), ("audio", embedding.audio)):
        steps = np.linalg.norm(np.diff(rows, axis=0), axis=1)
        change.plot(embedding.start[1:] + encoder.bundle.seconds, steps / steps.max(), label=name)
    change.set(ylabel="step", xlabel="seconds (end of the window)", xlim=(0, decoded.duration), ylim=(0, 1.05))
    change.legend(loc="upper left", fontsize=8)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    draw(sys.argv[1], sys.argv[2])
