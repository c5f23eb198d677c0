"""What all loaders of networks do: draw random weights, read a file of weights, say what went wrong."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from avfeat.errors import ArgumentError
from avfeat.training.data.sources.address import Address
from avfeat.training.networks.published import WeightsError

T = TypeVar("T")
SEED = 0
WEIGHTS = "weights"
RANDOM = "none"


def weights_of(address: Address) -> str | None:
    """The file that ``?weights=FILE`` names, ``none`` for random ones, None for the published ones.

    Raises:
        ArgumentError: other options.
    """
    address.check_options((WEIGHTS,), "a published network")
    return address.options.get(WEIGHTS)


def built(build: Callable[[], T], address: Address, random: bool) -> T:
    """What ``build`` makes; random weights are the same every time, and nobody else's generator moves on.

    Raises:
        WeightsError: weights that cannot be fetched or read.
    """
    if random:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return build()
    with readable(address):
        return build()


@contextmanager
def readable(address: Address) -> Iterator[None]:
    """Raise one sentence for what libraries raise when weights cannot be had.

    Raises:
        WeightsError: likewise.
    """
    try:
        yield
    except (OSError, HTTPException, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        said = str(error).strip().splitlines()
        why = said[0].rstrip(".") if said else type(error).__name__
        raise WeightsError(
            f"{address.text}: its weights cannot be fetched or read ({why}); name a file or folder of them "
            f"(timm:NAME?{WEIGHTS}=FILE, transformers:FOLDER), or export where there is a network."
        ) from error


def load_weights(network: nn.Module, file: Path) -> None:
    """Give a network the weights of a file: safetensors, or a state dict of torch, which is read as weights alone.

    Raises:
        OSError, RuntimeError, ValueError, UnpicklingError: as of the readers; for ``readable``.
    """
    state: Any
    if file.suffix == ".safetensors":
        state = load_file(file)
    else:
        state = torch.load(file, map_location="cpu", weights_only=True)
    network.load_state_dict(state.get("state_dict", state))


def without_last_linear(network: nn.Module, name: str) -> nn.Module:
    """``network``, which gives what its last linear layer is given; in place.

    Raises:
        ArgumentError: it has none.
    """
    linear = [place for place, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise ArgumentError(f"{name}: has no linear layer behind its features; give a function of your own for it.")
    network.set_submodule(linear[-1], nn.Identity())
    return network


def to_pictures(frames: NDArray[np.uint8]) -> list[Image.Image]:
    """Frames ``(T, height, width, 3)`` as Pillow's pictures, which is what libraries take."""
    return [Image.fromarray(frame) for frame in frames]


def stacked(frames: list[Any]) -> Tensor:
    """What a transform gave for each frame: ``(T, 3, height, width)``."""
    return torch.stack([torch.as_tensor(frame) for frame in frames])


def versions(*packages: str) -> dict[str, str]:
    """The versions of the libraries that built a network."""
    return {name: version(name) for name in packages}
