"""From what the loader gives to what the networks take: on the device, augmented."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from avfeat.bundle import Modality
from avfeat.training.augment import Clips, Composition, SampleRNG
from avfeat.training.data.loader import Batch
from avfeat.training.data.randomness import generator


@dataclass(frozen=True, eq=False)
class Views:
    """A batch of views, ready for the networks.

    Attributes:
        frames: float32 ``(batch * views, T, 3, height, width)`` in [0, 1], the views of a clip next to each other;
            None if nothing looks at them.
        waveform: float32 ``(batch * views, samples)``, or None likewise.
        present: bool ``(batch,)`` by modality, on the CPU: a GPU would have to be waited for.
    """

    frames: Tensor | None
    waveform: Tensor | None
    present: Mapping[Modality, Tensor]


_INPUTS: dict[str, Modality] = {"frames": "video", "waveform": "audio"}


def to_device(batch: Batch, device: torch.device, modalities: Collection[Modality]) -> Batch:
    """What the networks of these modalities need of a batch, on ``device``."""
    names = [name for name, modality in _INPUTS.items() if modality in modalities]
    moved = {name: batch[name].to(device, non_blocking=True) for name in names}
    return moved | {name: batch[name] for name in ("has_video", "has_audio")}


def augment_views(batch: Batch, composition: Composition, sample_rate: int, seeds: Tensor) -> Views:
    """Augment every view with its own random numbers.

    Args:
        batch: of the loader, on the device.
        composition: what is done.
        sample_rate: of the waveform, in Hz.
        seeds: int64 ``(batch * views,)``, see ``seeds_of``.
    """
    frames, waveform = (batch[name].flatten(0, 1) if name in batch else None for name in _INPUTS)
    if frames is not None:
        frames = frames.movedim(-1, -3).float() / 255
    clips = Clips(frames, waveform, sample_rate)
    clips = composition(clips, SampleRNG(seeds.to(clips.device, non_blocking=True)))
    # DistributedDataParallel would move the tensors of a dict to the GPU.
    present = MappingProxyType[Modality, Tensor]({"video": batch["has_video"], "audio": batch["has_audio"]})
    return Views(clips.frames, clips.waveform, present)


def seeds_of(seed: int, step: int, rank: int, count: int) -> Tensor:
    """Seeds of the views of a batch, int64 ``(count,)``: a function of the place in the training alone."""
    return torch.from_numpy(generator("augment", seed, step, rank).integers(0, 1 << 62, count))
