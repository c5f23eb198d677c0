"""Milliseconds a window for each graph of a bundle, on one thread and on all; single windows and batches.

python benchmarks/windows.py [BUNDLE]
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

import avfeat
from avfeat.encoder import available_processors

RUNS = 30


def main() -> None:
    bundle = sys.argv[1] if len(sys.argv) > 1 else None
    rng = np.random.default_rng(0)
    for threads in sorted({1, available_processors()}):
        with avfeat.load(bundle, device="cpu", threads=threads) as encoder:
            video, audio = encoder.bundle.video, encoder.bundle.audio
            for batch in (1, 8):
                frames = rng.integers(0, 256, (batch, video.frames, video.size, video.size, 3), dtype=np.uint8)
                sound = rng.standard_normal((batch, audio.samples)).astype(np.float32)
                for name, session, value in (("video", encoder._video, frames), ("audio", encoder._audio, sound)):
                    times = []
                    for _ in range(RUNS):
                        begun = time.perf_counter()
                        session.run(value)
                        times.append((time.perf_counter() - begun) / batch * 1000)
                    print(f"{name} {threads} thread(s), batch {batch}: {statistics.median(times):6.2f} ms a window")


if __name__ == "__main__":
    main()
