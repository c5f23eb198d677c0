"""Weights of a bundle's ONNX files, where BatchNorm is folded into the layer before it, back into networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from avfeat.bundle import Bundle, Modality
from avfeat.training.networks.encoder import ModalityEncoder
from avfeat.training.networks.published import WeightsError

_PREFIX = "encoder."
_FOLDED = "_bias"
"""What the exporter calls the bias that a folded BatchNorm leaves: the weight's name, and this."""


def load_folded(encoder: ModalityEncoder, bundle: Bundle, modality: Modality) -> None:
    """Give ``encoder`` the weights of a bundle, so that it computes in evaluation mode what the bundle's file does.

    BatchNorm layers that were folded then change nothing but a bias; ``unfold`` gives them statistics of their own.

    Raises:
        WeightsError: the bundle is in another precision than fp32, lacks ONNX files, or is of other networks.
    """
    if bundle.precision != "fp32" or "onnx" not in bundle.graph(modality).files:
        raise WeightsError(
            f"{bundle.path}: weights are taken from ONNX files in fp32; take a bundle that has them."
        )
    file = bundle.file(modality, "onnx")
    given = _initialisers(file)
    state = encoder.state_dict()
    for layer, norm in _folds(encoder):
        bias = given.pop(f"{layer}.weight{_FOLDED}", None)
        if bias is not None:
            given |= _changes_nothing_but(bias, norm, cast(_BatchNorm, encoder.get_submodule(norm)))
    kept = {
        name: value.reshape(state[name].shape) for name, value in given.items() if _fits(value, state.get(name))
    }
    missing = [name for name in state if name not in kept and not name.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(f"{file}: holds the weights of another network (no {missing[0]} that fits this one).")
    encoder.load_state_dict(kept, strict=False)


@torch.no_grad()
def unfold(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give BatchNorm layers the statistics of what they see, and weights with which they compute what they did.

    In evaluation mode nothing changes; in training mode they now normalise as they would have all along.

    Args:
        network: in place; left in evaluation mode.
        batches: its inputs, such as it will be trained on.
    """
    network.eval()
    seen: dict[_BatchNorm, list[Tensor]] = {}
    with _record_inputs(network, seen):
        for batch in batches:
            network(batch)
    for layer, (count, total, squares) in seen.items():
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        _take(layer, mean.float(), variance.float())


def _take(layer: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    known_mean, known_variance = cast(Tensor, layer.running_mean), cast(Tensor, layer.running_var)
    gain = layer.weight * torch.rsqrt(known_variance + layer.eps)
    layer.bias.add_(gain * (mean - known_mean))
    layer.weight.copy_(gain * torch.sqrt(variance + layer.eps))
    known_mean.copy_(mean)
    known_variance.copy_(variance)


@contextmanager
def _record_inputs(network: nn.Module, seen: dict[_BatchNorm, list[Tensor]]) -> Iterator[None]:
    """Add up what BatchNorm layers with weights are given: how much, its sum, and that of its squares."""

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        rows = inputs[0].double().transpose(0, 1).flatten(1)
        found = [torch.tensor(rows.shape[1]).to(rows), rows.sum(1), rows.square().sum(1)]
        known = seen.get(cast(_BatchNorm, layer))
        seen[cast(_BatchNorm, layer)] = (
            found if known is None else [a + b for a, b in zip(known, found, strict=True)]
        )

    layers = [one for one in network.modules() if isinstance(one, _BatchNorm) and one.affine]
    hooks = [one.register_forward_pre_hook(note) for one in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _folds(network: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of layers and of the BatchNorm with weights that comes next, which is the one behind it."""
    last: str | None = None
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            last = name
        elif isinstance(module, _BatchNorm) and module.affine and last is not None:
            yield last, name
            last = None


def _changes_nothing_but(bias: Tensor, name: str, norm: _BatchNorm) -> dict[str, Tensor]:
    ones = torch.ones_like(bias)
    return {
        f"{name}.weight": ones * (1 + norm.eps) ** 0.5,
        f"{name}.bias": bias,
        f"{name}.running_mean": torch.zeros_like(bias),
        f"{name}.running_var": ones,
    }


def _initialisers(file: Path) -> dict[str, Tensor]:
    """The encoder's own, by the names that its state has."""
    graph = onnx.load(str(file)).graph
    named = {one.name.removeprefix(_PREFIX): one for one in graph.initializer if one.name.startswith(_PREFIX)}
    return {name: torch.from_numpy(numpy_helper.to_array(one).copy()) for name, one in named.items()}


def _fits(value: Tensor, wanted: Tensor | None) -> bool:
    return (
        wanted is not None and value.numel() == wanted.numel() and value.squeeze().shape == wanted.squeeze().shape
    )
