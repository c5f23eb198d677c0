"""How alike clips are, by what is seen and heard in them.

python examples/similar.py a.mp4 b.mp4 c.mp4
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import avfeat


def main(paths: list[str]) -> None:
    """Print the cosine of every two clips."""
    names, rows = [], []
    with avfeat.load() as encoder:
        for found in encoder.embed_many(paths):
            if isinstance(found, avfeat.Failure):
                sys.exit(f"{found.source}: {found.message}")
            pooled = found.pooled()
            rows.append(pooled / np.linalg.norm(pooled))
            names.append(Path(found.source).name)
    width = max(map(len, names))
    for name, similar in zip(names, np.array(rows) @ np.array(rows).T, strict=True):
        print(name.ljust(width), *(f"{value:6.2f}" for value in similar))


if __name__ == "__main__":
    main(sys.argv[1:])
