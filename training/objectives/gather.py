"""The batch of all processes: embeddings gathered with their gradient, and which samples of it count.

What a process computes is its share of the loss of the whole batch: the average of the shares is the loss, and the
gradients of the parameters, averaged as DistributedDataParallel does, are those of one process with the whole batch
(a local embedding's gradient is ``processes`` times its own). Batches must be of one size in all processes.

Without an initialised process group, or with one process, nothing is communicated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor


def processes() -> int:
    """How many processes share the batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(local: Tensor) -> Tensor:
    """The rows of all processes, by rank: ``(batch, ...)`` to ``(processes * batch, ...)``.

    The gradient of a row is the sum of what all processes send back to it, as in lightly's ``GatherLayer``.
    """
    return local if processes() == 1 else cast(Tensor, _Gather.apply(local))  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        parts = [torch.empty_like(local, memory_format=torch.contiguous_format) for _ in range(processes())]
        dist.all_gather(parts, local.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # A copy: the incoming gradient may be shared with other nodes of the graph.
        whole = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole.chunk(processes())[dist.get_rank()]


@dataclass(frozen=True, eq=False)
class GatheredRows:
    """The samples that a pair of sides has.

    Attributes:
        here: bool ``(batch,)``, whether this process' samples have both sides.
        everywhere: bool ``(processes * batch,)``, those of all processes.
        offset: where this process' samples begin among all.
    """

    here: Tensor
    everywhere: Tensor
    offset: int

    @classmethod
    def from_mask(cls, here: Tensor, device: torch.device | None = None) -> GatheredRows:
        """Ask all processes for theirs; on ``device``, that of ``here`` by default."""
        here = here.to(device or here.device, non_blocking=True)
        # As bytes: not every backend sends truth values.
        everywhere = gather(here.to(torch.uint8)).bool()
        return cls(here, everywhere, len(here) * dist.get_rank() if processes() > 1 else 0)

    @property
    def total(self) -> Tensor:
        """Samples of all processes that count: an int64 scalar."""
        return self.everywhere.sum()

    def mean(self, values: Tensor) -> Tensor:
        """This process' share of the mean of ``values`` ``(batch,)`` over all samples that count; 0 without any."""
        return torch.where(self.here, values, 0).sum() * processes() / self.total.clamp(min=1)

    def centre(self, gathered: Tensor) -> Tensor:
        """Gathered rows ``(processes * batch, dim)`` less the mean of those that count; zeros for the others."""
        keep = self.everywhere[:, None]
        mean = torch.where(keep, gathered, 0).sum(0) / self.total.clamp(min=1)
        return torch.where(keep, gathered - mean, 0)
