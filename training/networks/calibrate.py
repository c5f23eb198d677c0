"""Statistics for the BatchNorm layers of networks that nobody has trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from avfeat.errors import ArgumentError


def calibrate_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Replace running statistics by the cumulative average over ``batches``; leave ``network`` in eval mode.

    Default statistics (mean 0, variance 1) shrink the signal of random weights layer by layer to about 1e-9,
    which underflows in fp16 and makes different clips nearly equal.

    Args:
        network: any module with BatchNorm layers.
        batches: inputs of ``network``, two samples or more each.

    Returns:
        How many batches were seen.

    Raises:
        ArgumentError: there was none.
    """
    seen = 0
    with torch.no_grad(), _cumulative(network):
        for batch in batches:
            network(batch)
            seen += 1
    network.eval()
    if not seen:
        raise ArgumentError("Calibration needs at least one batch.")
    return seen


@contextmanager
def _cumulative(network: nn.Module) -> Iterator[None]:
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    network.train()
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
