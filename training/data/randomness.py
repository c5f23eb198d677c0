"""Random numbers that depend on what they are for and where in the training it is, on nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import ArgumentError


def generator(purpose: str, *numbers: int) -> np.random.Generator:
    """The generator of one purpose at one place, such as ``("views", seed, step, rank, sample)``.

    Hashed, so that no two places share a stream: NumPy's own seeding takes ``[1]`` and ``[1, 0]`` for the same.
    """
    text = f"{purpose} {' '.join(str(number) for number in numbers)}"
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))


class Order:
    """Which item is where in a training: every epoch another permutation, the ranks at disjoint places of it.

    An epoch is as many whole global batches as the items fill; those left over (others in every epoch) sit it out,
    so that no global batch holds an item twice.
    """

    def __init__(self, items: NDArray[np.int64], seed: int, batch_size: int, world_size: int = 1) -> None:
        """Lay out ``items`` for global batches of ``batch_size * world``.

        Raises:
            ArgumentError: fewer items than a global batch holds.
        """
        self._items = items
        self._seed = seed
        self._batch = batch_size
        self._width = batch_size * world_size
        self._epoch_length = len(items) // self._width * self._width
        self._permutation: tuple[int, NDArray[np.int64]] | None = None
        if not self._epoch_length:
            raise ArgumentError(
                f"There are {len(items)} items for a global batch of {self._width}; "
                "take a smaller batch (--batch-size) or more data."
            )

    def item(self, step: int, rank: int, sample: int) -> int:
        """The item at ``sample`` of the batch that ``rank`` has at ``step``."""
        epoch, place = divmod(step * self._width + rank * self._batch + sample, self._epoch_length)
        if self._permutation is None or self._permutation[0] != epoch:
            self._permutation = epoch, generator("epoch", self._seed, epoch).permutation(self._items)
        return int(self._permutation[1][place])
