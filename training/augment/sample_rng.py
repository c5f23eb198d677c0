"""Random numbers per sample: a function of the sample's own seed, whatever batch and device it is on."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_BANK = 1 << 20


class SampleRNG:
    """A stream of random numbers for each sample of a batch.

    Numbers come from hashing (seed, stream, count), so that a sample draws the same ones alone and in any batch, on
    a CPU and on a GPU, and no generator is a bottleneck. Two ``SampleRNG`` made alike give the same numbers.
    """

    def __init__(self, seeds: Tensor, stream: str = "") -> None:
        """Begin a stream.

        Args:
            seeds: int64 ``(batch,)``, one per sample, on the device of the clips.
            stream: a name; other streams of the same seeds are independent.
        """
        digest = hashlib.blake2b(stream.encode(), digest_size=8).digest()
        self._stream = stream
        self._seeds = seeds
        low, high = int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")
        # Both halves of the seed and of the stream's name go in, one after the other.
        state = _mix((seeds & _MASK) ^ low)
        self._state = _mix((state + ((seeds >> 32) & _MASK)) & _MASK ^ high)
        self._count = 0

    @classmethod
    def from_generator(
        cls, generator: torch.Generator, batch: int, device: torch.device | str = "cpu"
    ) -> SampleRNG:
        """Seeds for a batch from an explicit generator (on the CPU)."""
        return cls(torch.randint(0, 1 << 62, (batch,), generator=generator).to(device))

    def __len__(self) -> int:
        return len(self._seeds)

    def fork(self, name: str) -> SampleRNG:
        """An independent stream for a part of the work; forks do not depend on what was drawn before."""
        return SampleRNG(self._seeds, f"{self._stream}/{name}")

    def uniform(self, low: float = 0.0, high: float = 1.0, count: int | None = None) -> Tensor:
        """Numbers in [low, high): float32 ``(batch,)``, or ``(batch, count)``."""
        return low + (high - low) * (self._words(count) >> 8).to(torch.float32) * 2.0**-24

    def integers(self, low: int, high: int, count: int | None = None) -> Tensor:
        """Whole numbers from ``low`` to ``high - 1``: int64 ``(batch,)``, or ``(batch, count)``."""
        return low + self._words(count) * (high - low) // (_MASK + 1)

    def chance(self, p: float) -> Tensor:
        """Whether something happens that has probability ``p``: bool ``(batch,)``."""
        return self.uniform() < p

    def order(self, count: int) -> Tensor:
        """A random permutation of ``count`` things: int64 ``(batch, count)``."""
        # Hash values of 32 bits may tie, rarely; a stable sort then still gives one answer everywhere.
        return self._words(count).argsort(dim=1, stable=True)

    def normal(self, *shape: int) -> Tensor:
        """Gaussian noise of unit variance: float32 ``(batch, *shape)``.

        A stretch of a fixed bank of a million numbers, from a random place on and with a random sign, as drawing
        so many afresh would cost more than all else.
        """
        size = math.prod(shape)
        bank = _bank(self._seeds.device, -(-size // _BANK) + 1)
        # Whole stretches are copied: to gather number by number would cost twenty times as much.
        stretches = bank.unfold(0, size, 1)[self.integers(0, _BANK)]
        sign = 1 - 2 * self.integers(0, 2).to(torch.float32)
        return stretches.mul_(sign[:, None]).view(len(self), *shape)

    def _words(self, count: int | None) -> Tensor:
        """Words of 32 bits as int64."""
        self._count += 1
        base = _mix((self._state + self._count * 0x9E3779B9) & _MASK)
        if count is None:
            return base
        index = torch.arange(count, device=self._seeds.device)
        return _mix((base[:, None] + index * 0x85EBCA6B) & _MASK)


def _mix(word: Tensor) -> Tensor:
    """Avalanche of 32 bits in int64: "lowbias32" of C. Wellons' hash prospector (public domain)."""
    word = word ^ (word >> 16)
    word = (word * 0x7FEB352D) & _MASK
    word = word ^ (word >> 15)
    word = (word * 0x846CA68B) & _MASK
    return word ^ (word >> 16)


@lru_cache(maxsize=8)
def _bank(device: torch.device, times: int) -> Tensor:
    """Gaussian numbers, the same on every device, so many times in a row."""
    return torch.randn(_BANK, generator=torch.Generator().manual_seed(0)).to(device).repeat(times)
