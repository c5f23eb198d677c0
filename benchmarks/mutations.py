"""Random mutations of small clips in seven containers: each embeds, or fails with a reason, and none is lost.

    python benchmarks/mutations.py [-n MUTATIONS] [--first NUMBER] [--seed SEED] [--isolate]

A mutation depends on the seed and its number alone, so that a long run may be done in pieces. ``--isolate`` has
files decoded in a process of their own, as folder jobs do; without it this process decodes bytes. Exit status 1 if
an input has no result.
"""

from __future__ import annotations

import argparse
import collections
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
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


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=2000, help="mutations in all")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--isolate", action="store_true", help="decode in a process of its own")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    outcomes: collections.Counter[str] = collections.Counter()
    numbers = range(options.first, options.first + options.n)
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as folder, avfeat.load(device="cpu", threads=1) as encoder:
        inputs = _inputs(Path(folder), numbers, options.seed, options.isolate)
        begun = time.perf_counter()
        results = encoder.embed_many(inputs, workers=1, isolate=options.isolate, timeout=30)
        for number, result in zip(numbers, results, strict=False):
            took, begun = time.perf_counter() - begun, time.perf_counter()
            slowest = max(slowest, (took, f"{_suffix(number)} number {number}"))
            outcomes[_outcome(result)] += 1
    lost = options.n - outcomes.total()
    print(
        f"mutations {numbers[0]} to {numbers[-1]}, seed {options.seed}: {dict(outcomes)}, {lost} lost; "
        f"slowest {slowest[0]:.2f} s ({slowest[1]})"
    )
    return int(lost != 0)


def _inputs(folder: Path, numbers: range, seed: int, files: bool) -> Iterator[Path | bytes]:
    originals = {suffix: clip(folder, suffix) for suffix in KINDS}
    for number in numbers:
        suffix = _suffix(number)
        data = mutated(originals[suffix], np.random.default_rng((seed, number)))
        path = folder / f"{number % 16}{suffix}"
        if files:
            path.write_bytes(data)
        yield path if files else data


def _suffix(number: int) -> str:
    return list(KINDS)[number % len(KINDS)]


def _outcome(result: avfeat.Embedding | avfeat.Failure) -> str:
    if isinstance(result, avfeat.Failure):
        return result.reason
    return "damaged" if result.damaged else "embedded"


def clip(folder: Path, suffix: str) -> bytes:
    video, audio = KINDS[suffix]
    picture = moving_square(48, 32)
    seen = None if video is None else VideoTrack(seconds=1.5, picture=picture, codec=video, options=())
    rate = 48_000 if audio == "libopus" else 16_000
    return make_media(folder / f"clip{suffix}", seen, AudioTrack(1.5, rate, codec=audio)).read_bytes()


if __name__ == "__main__":
    sys.exit(main())
