"""Embedding against decoding alone: wall and CPU seconds, in turns in one process.

python benchmarks/embed.py CLIPS...
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import avfeat
from avfeat.grid import Grid
from avfeat.media import AudioSpec, VideoSpec, media_windows

ROUNDS = 3


def clock(work: Callable[[], float]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds, and what the work returns."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def main() -> None:
    given = [Path(name) for name in sys.argv[1:]]
    paths = [path for item in given for path in (sorted(item.iterdir()) if item.is_dir() else [item])]
    assert paths, __doc__
    encoder = avfeat.load(device="cpu")
    video, audio = encoder.bundle.video, encoder.bundle.audio

    def decode_only() -> float:
        return sum(2.0 for path in paths for _ in media_windows(path, Grid.of(2.0), video, audio))

    def demux_to_nothing() -> float:
        specs = VideoSpec(0.5, 1, 16), AudioSpec(8_000, 16_000)
        return sum(2.0 for path in paths for _ in media_windows(path, Grid.of(2.0), *specs))

    def embed_serial() -> float:
        return sum(encoder.embed(path).duration for path in paths)

    def embed_many() -> float:
        return sum(e.duration for e in encoder.embed_many(paths) if isinstance(e, avfeat.Embedding))

    works = {
        "decode, one picture a window": demux_to_nothing,
        "decode and scale": decode_only,
        "embed, one file at a time": embed_serial,
        "embed_many": embed_many,
    }
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            figures[name].append(clock(work))
    seconds = figures["embed_many"][0][2]
    print(
        f"{len(paths)} files, {seconds:.1f} s of media, medians of {ROUNDS} rounds on {encoder.threads} processors"
    )
    for name, runs in figures.items():
        wall, cpu = (statistics.median(run[k] for run in runs) for k in (0, 1))
        print(f"{name:30} wall {wall:6.2f} s  cpu {cpu:6.2f} s  {seconds / wall:6.1f} times real time")


if __name__ == "__main__":
    main()
