"""CPU against CUDA on one clip: the same values, and how fast.

python benchmarks/devices.py CLIP
"""

from __future__ import annotations

import sys
import time

import numpy as np

import avfeat

LIMIT = 1e-3


def main() -> None:
    results = {}
    for device in ("cpu", "cuda"):
        with avfeat.load(device=device) as encoder:
            encoder.embed(sys.argv[1])
            begun = time.perf_counter()
            results[device] = encoder.embed(sys.argv[1])
            took = time.perf_counter() - begun
        print(f"{device:5} {results[device].duration / took:8.1f} times real time")
    for name in ("video", "audio", "video_shared", "audio_shared"):
        a, b = getattr(results["cuda"], name), getattr(results["cpu"], name)
        error = float(np.abs(a - b).max() / np.abs(b).max())
        print(f"{name:13} {error:.1e} {'ok' if error <= LIMIT else 'FAIL'}")


if __name__ == "__main__":
    main()
