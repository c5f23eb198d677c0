"""What the heads make of a batch, of those samples that are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True, eq=False)
class HeadOutput:
    """One side of a batch after the heads; all ``(batch, out)``.

    Attributes:
        projection: what the projector gives.
        prediction: what the predictor makes of it; without one, the projection.
        target: what others are to predict, without gradient: the momentum encoder's projection, where there is one.
    """

    projection: Tensor
    prediction: Tensor
    target: Tensor

    def ready(self, here: Tensor) -> HeadOutput:
        """At least float32, and zeros for samples that do not count, so that not even a NaN of theirs does."""
        keep = here[:, None]
        every = (self.projection, self.prediction, self.target)
        return HeadOutput(*(torch.where(keep, z.float() if z.dtype.itemsize < 4 else z, 0) for z in every))


class Chosen:
    """The samples that go through the heads: those that are there, so that BatchNorm sees no others.

    BatchNorm cannot work on fewer than two samples: then zeros go through in place of the absent ones, and the loss
    leaves them out.
    """

    def __init__(self, present: Tensor) -> None:
        """Take bool ``(batch,)``: on the CPU, whatever the rows are on, as a GPU would have to be waited for."""
        self._present = present.cpu()
        self._places = self._present.nonzero()[:, 0]
        self._all = len(self._places) == len(present)
        self._few = len(self._places) < 2

    @property
    def filled(self) -> bool:
        """Whether zeros go through: what BatchNorm remembers of them says nothing of the data."""
        return self._few and not self._all

    def __call__(self, rows: Tensor) -> Tensor:
        """The rows that go through; of any shape behind the first dimension."""
        if self._all:
            return rows
        if self._few:
            keep = self._present.to(rows.device, non_blocking=True)
            return torch.where(keep.view(-1, *[1] * (rows.ndim - 1)), rows, 0)
        return rows.index_select(0, self._places.to(rows.device, non_blocking=True))

    def back(self, rows: Tensor) -> Tensor:
        """Rows at the places of their samples, zeros at the others."""
        if self._all or self._few:
            return rows
        whole = rows.new_zeros(len(self._present), rows.shape[1])
        return whole.index_copy(0, self._places.to(rows.device, non_blocking=True), rows)


@contextmanager
def statistics_kept(network: nn.Module, kept: bool) -> Iterator[None]:
    """BatchNorm's running statistics stay as they are in the block, if ``kept``."""
    layers = [layer for layer in network.modules() if kept and isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
