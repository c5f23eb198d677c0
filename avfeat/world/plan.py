"""Which videos a synthetic dataset has: identifiers, classes, event intervals and splits, in AVE's shape."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from avfeat.errors import ArgumentError
from avfeat.world.classes import CATEGORIES

VERSION = 1
"""Of the definition of the synthetic dataset. Videos of one version, size and seed are the same everywhere."""

SECONDS = 10
"""Length of every video."""

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

_ENOUGH = 3 * len(CATEGORIES)
# AVE: of each class, one tenth (rounded down) is for validation and one for test. 2,750 of its 4,143 events span
# the whole video, the others 2 to 9 s (in these numbers); 500 of those begin with the video, 646 end with it, 247
# do neither.
_HELD_OUT = 10
_WHOLE = 2750 / 4143
_LENGTHS = {2: 214, 3: 220, 4: 217, 5: 196, 6: 200, 7: 139, 8: 111, 9: 95}
_AT_START, _AT_END = 500 / 1393, 646 / 1393


@dataclass(frozen=True)
class SyntheticVideo:
    """One video of a synthetic dataset.

    Attributes:
        index: its number in ``Annotations.txt``, from 0.
        world: number of videos and seed of the world that it belongs to.
        category: name of its class.
        split: the split that it is in.
        start: second at which its event begins.
        end: second at which its event ends.
    """

    index: int
    world: tuple[int, int]
    category: str
    split: Split
    start: int
    end: int

    @property
    def id(self) -> str:
        """Eleven characters, as YouTube's: some begin with ``-``."""
        digest = hashlib.sha256(f"avfeat made world {VERSION} {self.world} {self.index}".encode()).digest()
        return base64.urlsafe_b64encode(digest[:9])[:11].decode()

    def generator(self, purpose: str) -> np.random.Generator:
        """The random numbers for one purpose: videos share none, purposes neither."""
        word = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "big")
        return np.random.default_rng([VERSION, *self.world, self.index, word])


def plan(videos: int, seed: int = 0) -> tuple[SyntheticVideo, ...]:
    """The videos of a world, grouped by class as in AVE's own file.

    Classes are as frequent as AVE's, one tenth of each is for validation and one for test (4,143 videos have AVE's
    own numbers); from 84 videos on, every class has a video in every split. Worlds of different size or seed share
    no video.

    Args:
        videos: how many, 1 or more.
        seed: which world, 0 or more.

    Raises:
        ArgumentError: numbers out of range.
    """
    if videos < 1:
        raise ArgumentError(f"A synthetic dataset needs at least one video, not {videos}.")
    if seed < 0:
        raise ArgumentError(f"The random seed of a synthetic dataset is 0 or more, not {seed}.")
    made: list[SyntheticVideo] = []
    for category, count in zip(CATEGORIES, _counts(videos), strict=True):
        held_out = max(1, count // _HELD_OUT) if count >= len(SPLITS) else 0
        for number in range(count):
            index = len(made)
            left = count - number
            split: Split = "test" if left <= held_out else "val" if left <= 2 * held_out else "train"
            rng = np.random.default_rng([VERSION, videos, seed, index])
            made.append(SyntheticVideo(index, (videos, seed), category.name, split, *_interval(rng)))
    return tuple(made)


def _counts(videos: int) -> list[int]:
    """Videos of each class: AVE's proportions, by largest remainders; three at least where that is possible."""
    weights = np.array([category.weight for category in CATEGORIES], dtype=np.float64)
    share = weights / weights.sum() * videos
    counts = np.floor(share).astype(int)
    counts[np.argsort(counts - share, kind="stable")[: videos - int(counts.sum())]] += 1
    while videos >= _ENOUGH and counts.min() < len(SPLITS):
        counts[counts.argmin()] += 1
        counts[counts.argmax()] -= 1
    return [int(count) for count in counts]


def _interval(rng: np.random.Generator) -> tuple[int, int]:
    """Start and end of an event in whole seconds, distributed as AVE's."""
    if rng.random() < _WHOLE:
        return 0, SECONDS
    lengths = np.array(list(_LENGTHS.values())) / sum(_LENGTHS.values())
    length = int(rng.choice(list(_LENGTHS), p=lengths))
    where = rng.random()
    inner = SECONDS - length
    if where < _AT_START:
        return 0, length
    if where < _AT_START + _AT_END or inner < 2:
        return inner, SECONDS
    start = int(rng.integers(1, inner))
    return start, start + length
