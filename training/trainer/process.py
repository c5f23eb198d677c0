"""This process among those that train together: alone, or under ``torchrun``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from avfeat.errors import BackendError

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Process:
    """One of ``world_size`` processes.

    Attributes:
        rank: from 0 on; 0 writes the files.
        world_size: how many there are.
        device: what this one computes on.
    """

    rank: int
    world_size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this one writes and says what there is to say."""
        return self.rank == 0

    def wrapped(self, model: nn.Module) -> nn.Module:
        """``model``, averaging gradients over all processes; on GPUs, BatchNorm statistics too."""
        if self.world_size == 1:
            return model
        if self.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
            return DistributedDataParallel(model, device_ids=[self.device.index])
        return DistributedDataParallel(model)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of ``values`` over all processes."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values / self.world_size

    def any(self, flag: bool) -> bool:
        """Whether it is true in some process; asked over the CPU, so that no GPU has to be waited for."""
        if self.world_size == 1:
            return flag
        found = torch.tensor(int(flag))
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return bool(found)


@contextmanager
def join_processes(device: Device = "auto") -> Iterator[Process]:
    """This process, in touch with the others if ``torchrun`` has started it.

    Raises:
        BackendError: ``cuda`` was asked for, and is not there.
    """
    rank, world_size, local = (int(os.environ.get(name, default)) for name, default in _VARIABLES)
    chosen = _device(device, local)
    if world_size > 1:
        dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Process(rank, world_size, chosen)
    finally:
        if world_size > 1:
            dist.destroy_process_group()


_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))


def _device(asked: Device, local: int) -> torch.device:
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise BackendError("CUDA was asked for, but torch cannot use it; check the driver, or use --device cpu.")
    if asked == "cpu" or not there:
        return torch.device("cpu")
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device
