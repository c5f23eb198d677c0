"""Embeds every file of a folder and checks its windows against its stated duration.

python benchmarks/real_media.py FOLDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import avfeat
from avfeat.grid import MICROSECONDS, Grid
from avfeat.media import probe


def main() -> None:
    paths = sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_file())
    encoder = avfeat.load()
    begun, wrong, media = time.perf_counter(), 0, 0.0
    for path, found in zip(paths, encoder.embed_many(paths), strict=True):
        if isinstance(found, avfeat.Failure):
            wrong += 1
            print(f"failed: {found.message}")
            continue
        media += found.duration
        stated = probe(path).duration
        expected = (
            None
            if stated is None
            else Grid.from_seconds(encoder.bundle.seconds).count(round(stated * MICROSECONDS))
        )
        if found.damaged or len(found) != expected:
            wrong += 1
            print(f"{path.name}: {len(found)} windows, {expected} stated; damage: {found.damage}")
    took = time.perf_counter() - begun
    print(
        f"{len(paths)} files, {wrong} to look at; {media:.0f} s in {took:.1f} s, {media / took:.0f} times real time"
    )


if __name__ == "__main__":
    main()
