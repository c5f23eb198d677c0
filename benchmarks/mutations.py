"""Random mutations of small clips in seven containers: embeds or fails with a reason, within a time limit.

python benchmarks/mutations.py [-n MUTATIONS] [--seed SEED]
"""

from __future__ import annotations

import argparse
import collections
import logging
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from making import AudioTrack, VideoTrack, make_media, moving_square
from test_damage import mutated

import avfeat

KINDS = {
    ".mp4": ("libx264", "aac"),
    ".mkv": ("libx264", "aac"),
    ".ts": ("libx264", "mp2"),
    ".avi": ("mpeg4", "mp2"),
    ".webm": ("libvpx", "libopus"),
    ".flac": (None, "flac"),
    ".mp3": (None, "libmp3lame"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=2000, help="mutations in all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    rng = np.random.default_rng(options.seed)
    outcomes: collections.Counter[str] = collections.Counter()
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as folder, avfeat.load(device="cpu") as encoder:
        originals = {suffix: _clip(Path(folder), suffix) for suffix in KINDS}
        for k in range(options.n):
            suffix = list(KINDS)[k % len(KINDS)]
            data = mutated(originals[suffix], rng)
            begun = time.perf_counter()
            try:
                outcomes["damaged" if encoder.embed(data).damaged else "embedded"] += 1
            except avfeat.MediaError as error:
                outcomes[error.reason] += 1
            slowest = max(slowest, (time.perf_counter() - begun, f"{suffix} number {k}"))
    print(
        f"{options.n} mutations, seed {options.seed}: {dict(outcomes)}; slowest {slowest[0]:.2f} s ({slowest[1]})"
    )


def _clip(folder: Path, suffix: str) -> bytes:
    video, audio = KINDS[suffix]
    picture = moving_square(48, 32)
    seen = None if video is None else VideoTrack(seconds=1.5, picture=picture, codec=video, options=())
    rate = 48_000 if audio == "libopus" else 16_000
    return make_media(folder / f"clip{suffix}", seen, AudioTrack(1.5, rate, codec=audio)).read_bytes()


if __name__ == "__main__":
    main()
