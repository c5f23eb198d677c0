"""Hostile uploads to the service of the examples: memory, time, and what it opens beside them.

    python benchmarks/uploads.py [-n 1000] [--first NUMBER] [--seed SEED] [--cases FOLDER]

Texts that refer to other files and sockets, the files of a folder, and for the rest mutations of small clips, two
at a time. Where strace is installed: every socket, and every file that no intact upload has opened. Exit status 1
above 1 GB or 30 s, or if anything was opened.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from mutations import KINDS, clip
from test_damage import mutated
from uploads import foreign, has_strace, hostile, served

BAIT = 9
"""A port of this machine that the texts refer to; nobody has to listen."""


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=Path, help="a folder of files that went wrong once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [clip(folder, suffix) for suffix in KINDS]
        with served(folder, has_strace()) as service, ThreadPoolExecutor(2) as clients:
            for intact in clips:
                assert service.post(intact) == "embedded"
            service.answers.clear()
            before = service.calls()
            wanted = islice(uploads(clips, given.cases, given.seed), given.first, given.first + given.n)
            answered = sum(1 for _ in clients.map(service.post, wanted))
            opened = foreign(before, service.calls())
    print(f"{answered} uploads from {given.first} on, seed {given.seed}: {dict(sorted(service.answers.items()))}")
    print(f"peak {service.peak / 1e6:.0f} MB, slowest answer {service.slowest:.1f} s")
    print(f"opened beside them: {sorted(set(opened)) or 'nothing'}" if has_strace() else "strace is not installed")
    return int(service.peak > 1e9 or service.slowest > 30 or bool(opened) or answered != given.n)


def uploads(clips: list[bytes], cases: Path | None, seed: int) -> Iterator[bytes]:
    """Without end; each depends on the seed and its number alone."""
    yield from hostile(BAIT).values()
    if cases is not None:
        yield from (path.read_bytes() for path in sorted(cases.iterdir()) if path.is_file())
    number = 0
    while True:
        yield mutated(clips[number % len(clips)], np.random.default_rng((seed, number)))
        number += 1


if __name__ == "__main__":
    sys.exit(main())
