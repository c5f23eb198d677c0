"""Parts of the networks that stay as they begin: what was published keeps what it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion


def frozen_parts(backbones: Mapping[str, nn.Module], names: Sequence[str]) -> Iterator[nn.Module]:
    """Turn gradients off in parts of the backbones, and give those parts.

    Args:
        backbones: by modality.
        names: ``video`` or ``audio`` for all of a backbone, ``video.still`` for a module of it.

    Raises:
        ArgumentError: no such part.
    """
    parts = {
        f"{modality}.{inside}".removesuffix("."): module
        for modality, backbone in backbones.items()
        for inside, module in backbone.named_modules()
    }
    for name in names:
        if name not in parts:
            raise ArgumentError(f"freeze: the encoders have no part {name!r}; {suggestion(name, _first(parts))}")
        yield parts[name].requires_grad_(False)


def _first(parts: Mapping[str, nn.Module]) -> list[str]:
    """The modalities, and what their backbones are directly made of."""
    return [name for name in parts if name.count(".") < 2]
