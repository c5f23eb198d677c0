"""Batches of views for training, the same whoever loads them: any number of workers, any start."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from avfeat.errors import ArgumentError
from avfeat.stop import held, ignore
from avfeat.training.data.cache import Cache, Needs
from avfeat.training.data.randomness import Order, generator
from avfeat.training.data.sampling import Sampling, draw

Key = tuple[int, int]
"""Step of the training, and sample in the batch."""

Batch = dict[str, Tensor]
"""What a training step gets:

==================  ================================  ============================================================
``frames``          uint8 ``(B, views, T, H, W, 3)``  RGB; zeros without video
``waveform``        float32 ``(B, views, samples)``   mono in [-1, 1]; zeros without audio
``has_video``       bool ``(B,)``                     whether the item has frames; ``has_audio`` likewise
``label``           int64 ``(B,)``                    class in the cache's ``classes``, -1 for none: for probes
``item``            int64 ``(B,)``                    number of the item in the cache
``video_start``     int64 ``(B, views)``              where the view begins, microseconds; ``audio_start`` likewise
``speed``           float64 ``(B, views)``            of the view; ``audio_speed`` that of its audio
==================  ================================  ============================================================
"""


@dataclass(frozen=True)
class DataShard:
    """Which part of a training's data this process loads: that of ``rank`` of ``world_size``."""

    seed: int = 0
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.world_size < 1 or not 0 <= self.rank < self.world_size:
            raise ArgumentError(f"rank must be from 0 to world - 1, not {self.rank} of {self.world_size}.")


class ViewDataset(Dataset[Batch]):
    """The views of a training by step: a function of (seed, step, rank, sample) alone.

    Frames are those of the cache's grid: up to half of its frame interval off the instants that were drawn.
    """

    def __init__(
        self,
        cache: Cache,
        sampling: Sampling,
        batch_size: int,
        place: DataShard | None = None,
        required_streams: Needs = "any",
    ) -> None:
        """Sample views from ``cache``.

        Args:
            cache: where from.
            sampling: how.
            batch_size: items in a batch of one rank.
            place: seed, rank and world.
            required_streams: which items take part.

        Raises:
            ArgumentError: fewer items than a batch of all ranks holds.
        """
        self._cache = cache
        self._sampling = sampling
        self._place = place or DataShard()
        self._order = Order(cache.members(required_streams), self._place.seed, batch_size, self._place.world_size)

    def __getitem__(self, key: Key) -> Batch:
        """One sample, as a batch of one."""
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """The samples with these keys as one batch."""
        batch = _empty(len(keys), self._sampling, self._cache)
        arrays = {name: tensor.numpy() for name, tensor in batch.items()}
        for row, (step, sample) in enumerate(keys):
            self._fill(arrays, row, step, sample)
        return batch

    def _fill(self, arrays: dict[str, NDArray[Any]], row: int, step: int, sample: int) -> None:
        item = self._order.item(step, self._place.rank, sample)
        facts = self._cache.rows[item]
        rng = generator("views", self._place.seed, step, self._place.rank, sample)
        clip = self._cache.clip(item)
        for view, times in enumerate(draw(rng, self._sampling, facts.video_end, facts.audio_end, facts.begin)):
            clip.frames(times.frames, arrays["frames"][row, view])
            samples = arrays["waveform"][row, view]
            clip.sound(times.sound, len(samples), times.sound_speed, samples)
            arrays["video_start"][row, view], arrays["audio_start"][row, view] = times.start, times.sound
            arrays["speed"][row, view], arrays["audio_speed"][row, view] = times.speed, times.sound_speed
        arrays["has_video"][row], arrays["has_audio"][row] = clip.has_video, clip.has_audio
        arrays["label"][row], arrays["item"][row] = self._cache.labels[item], item


class _Steps(Sampler[list[Key]]):
    """The keys of the batches from one step to before another."""

    def __init__(self, start: int, stop: int, batch_size: int) -> None:
        self._steps = range(start, stop)
        self._batch_size = batch_size

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[Key]]:
        for step in self._steps:
            yield [(step, sample) for sample in range(self._batch_size)]


def make_loader(
    cache: Cache,
    sampling: Sampling,
    batch_size: int,
    steps: int,
    *,
    start_step: int = 0,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 0,
    required_streams: Needs = "any",
) -> DataLoader[Batch]:
    """Load the batches of the steps from ``start_step`` to before ``steps``.

    Args:
        cache: where from.
        sampling: how views are sampled.
        batch_size: items in a batch of this rank.
        steps: steps of the whole training.
        start_step: the first step to load: of a training that goes on, the number of those done.
        seed: of all randomness.
        rank: of this process among ``world``.
        world_size: processes that train together, at disjoint items.
        workers: processes that load; 0 loads in this one. They make no difference to the batches.
        required_streams: which items take part.

    Raises:
        ArgumentError: fewer items than a batch of all ranks holds, or a rank outside the world.
    """
    dataset = ViewDataset(cache, sampling, batch_size, DataShard(seed, rank, world_size), required_streams)
    return DataLoader(
        dataset,
        batch_sampler=_Steps(start_step, steps, batch_size),
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=torch.cuda.is_available(),
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
        worker_init_fn=_begin,
        # Else it would draw a seed that nobody uses from the global generator, once per start: no two runs alike.
        generator=torch.Generator(),
    )


@contextmanager
def loading(loader: DataLoader[Batch]) -> Iterator[Iterator[Batch]]:
    """The batches of ``loader``, in the block alone.

    Ctrl-C, torchrun and schedulers send SIGINT or SIGTERM to all processes of a training at once. What happens then
    is for the one that trains to say: workers go on, and leave at the end of the block or when that process dies.
    """
    if loader.num_workers:
        loader.worker_init_fn = _begin_steadfast
    with _signals_held(loader.num_workers > 0):
        batches = iter(loader)
    try:
        yield batches
    finally:
        # They take no SIGTERM, with which Python ends those that a held traceback keeps alive.
        if loader.num_workers:
            cast(Any, batches)._shutdown_workers()


@contextmanager
def _signals_held(workers: bool) -> Iterator[None]:
    """Workers that are started in the block hold signals until they say what they do with them."""
    if not workers:
        yield
        return
    # It ends such a block when it starts; so it has to be there before.
    resource_tracker.ensure_running()
    with held():
        yield


def _begin(worker: int) -> None:
    ignore(signal.SIGINT)
    torch.set_num_threads(1)


def _begin_steadfast(worker: int) -> None:
    _begin(worker)
    ignore(signal.SIGTERM)


def _as_it_is(batch: Any) -> Any:
    """The data set gives whole batches; there is nothing to put together."""
    return batch


def _empty(count: int, sampling: Sampling, cache: Cache) -> Batch:
    size, views = cache.settings.size, sampling.views
    return {
        "frames": torch.empty((count, views, sampling.frames, size, size, 3), dtype=torch.uint8),
        "waveform": torch.empty((count, views, sampling.samples(cache.settings.sample_rate))),
        "has_video": torch.empty(count, dtype=torch.bool),
        "has_audio": torch.empty(count, dtype=torch.bool),
        "label": torch.empty(count, dtype=torch.int64),
        "item": torch.empty(count, dtype=torch.int64),
        "video_start": torch.empty((count, views), dtype=torch.int64),
        "audio_start": torch.empty((count, views), dtype=torch.int64),
        "speed": torch.empty((count, views), dtype=torch.float64),
        "audio_speed": torch.empty((count, views), dtype=torch.float64),
    }
