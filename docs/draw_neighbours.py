"""Draws nearest neighbours in the synthetic dataset: by video and audio together, and from a sound to pictures.

python docs/draw_neighbours.py docs/images/neighbours.jpg

Queries are the first video of every seventh class, not picked by hand; a green frame is the query's own class.
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray

import avfeat
from avfeat.world import plan, render
from avfeat.world.classes import CATEGORIES

VIDEOS, SHOWN, FPS, SIZE, RATE = 168, 5, 8, 224, 32_000
STEP = 7


def main() -> None:
    """Draw a row for each query."""
    videos = plan(VIDEOS)
    with avfeat.load() as encoder:
        made = [render(video, fps=FPS, size=SIZE, sample_rate=RATE) for video in videos]
        rows = [encoder.embed_arrays(one.frames, FPS, one.waveform, RATE) for one in made]
    both = standardised(np.stack([row.pooled() for row in rows]))
    sounds, pictures = (unit(np.stack([getattr(row, f"{side}_shared").mean(0) for row in rows])) for side in SIDES)
    names = [video.category for video in videos]
    queries = [names.index(category.name) for category in CATEGORIES[::STEP]]
    ways = {"video and audio": both @ both.T, "from its sound to pictures": sounds @ pictures.T}
    figure, axes = plt.subplots(len(queries), 1 + len(ways) * SHOWN, figsize=(15, 1.65 * len(queries)))
    for line, query in zip(axes, queries, strict=True):
        picture(line[0], made[query].frames, names[query], "black")
        for number, scores in enumerate(ways.values()):
            order = [one for one in np.argsort(-scores[query]) if one != query][:SHOWN]
            for axis, found in zip(line[1 + number * SHOWN :], order, strict=False):
                colour = "tab:green" if names[found] == names[query] else "tab:red"
                picture(axis, made[found].frames, names[found], colour)
    for number, way in enumerate(ways):
        axes[0, 1 + number * SHOWN].annotate(way, (0, 1.3), xycoords="axes fraction", fontsize=10)
    axes[0, 0].annotate("query", (0, 1.3), xycoords="axes fraction", fontsize=10)
    figure.tight_layout(pad=0.4, w_pad=0.2, h_pad=0.2)
    figure.savefig(sys.argv[1], dpi=80, pil_kwargs={"quality": 82})


SIDES = ("audio", "video")


def picture(axis: Axes, frames: NDArray[np.uint8] | None, name: str, colour: str) -> None:
    """The frame in the middle of a video, with a coloured border."""
    assert frames is not None
    axis.imshow(frames[len(frames) // 2])
    axis.set_title(name, fontsize=6, pad=2)
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_color(colour)
        side.set_linewidth(3)


def standardised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each feature standardised, rows of unit length."""
    return unit((rows - rows.mean(0)) / (rows.std(0) + 1e-6))


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
