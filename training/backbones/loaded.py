"""What all loaders of networks do: draw random weights, read a file of weights, say what went wrong."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from avfeat.plain import open_plain
from avfeat.training.backbones.backbone import Origin
from avfeat.training.data.sources.address import Address
from avfeat.training.networks.published import WeightsError
from avfeat.training.provenance import weights_fingerprint

T = TypeVar("T")
N = TypeVar("N", bound=nn.Module)
SEED = 0
WEIGHTS = "weights"
RANDOM = "none"
_UNREADABLE = (
    *(OSError, HTTPException, RuntimeError, ValueError, KeyError, EOFError),
    *(pickle.UnpicklingError, SafetensorError),
)
"""What libraries raise for files that are not there, or hold something else."""


def with_weights(address: Address, build: Callable[[bool], N], head: Callable[[N], str]) -> tuple[N, bool]:
    """A network with the weights that ``address`` asks for.

    Args:
        address: ``?weights=FILE`` takes weights from a file, ``none`` random ones; the published ones without it.
        build: makes the network, with the published weights or without.
        head: where its classifier lies; empty if it has none.

    Returns:
        The network, in evaluation mode; and whether its classifier has weights, too.

    Raises:
        ArgumentError: other options.
        WeightsError: weights that cannot be fetched or read.
    """
    address.check_options((WEIGHTS,), "a published network")
    weights = address.options.get(WEIGHTS)
    network = built(lambda: build(weights is None), address, weights == RANDOM).eval()
    if weights is None or weights == RANDOM:
        return network, True
    with readable(address):
        return network, load_weights(network, Path(weights), head(network))


def built(build: Callable[[], T], address: Address, random: bool) -> T:
    """What ``build`` makes; random weights are the same every time, and nobody else's generator moves on.

    Raises:
        WeightsError: weights that cannot be fetched or read.
    """
    if random:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return build()
    # torch may announce a download on stdout, where results go.
    with readable(address), redirect_stdout(sys.stderr):
        return build()


@contextmanager
def readable(address: Address) -> Iterator[None]:
    """Raise one sentence for what libraries raise when weights cannot be had.

    Raises:
        WeightsError: likewise.
    """
    try:
        yield
    except _UNREADABLE as error:
        said = str(error).strip().splitlines()
        why = said[0].rstrip(".") if said else type(error).__name__
        raise WeightsError(
            f"{address.text}: its weights cannot be fetched or read ({why}); name a file or folder of them "
            f"(timm:NAME?{WEIGHTS}=FILE, transformers:FOLDER), or export where there is a network."
        ) from error


def load_weights(network: nn.Module, file: Path, head: str = "") -> bool:
    """Give a network the weights of a file: safetensors, or a state dict of torch, which is read as weights alone.

    Returns:
        Whether those of ``head``, the classifier, are among them; a file may leave it out, or have other classes.

    Raises:
        OSError, RuntimeError, ValueError, UnpicklingError: as of the readers; for ``readable``.
    """
    state = _state(file)
    own = {name: value for name, value in network.state_dict().items() if head and name.startswith(f"{head}.")}
    fits = all(name in state and state[name].shape == value.shape for name, value in own.items())
    if not fits:
        state = {name: value for name, value in state.items() if not name.startswith(f"{head}.")} | own
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{file} holds those of another network than {type(network).__name__}") from error
    return fits


def _state(file: Path) -> dict[str, Tensor]:
    state: Any
    # A pipe that nobody writes to would stop us.
    with open_plain(file) as opened:
        if file.suffix == ".safetensors":
            state = load_file(file)
        else:
            state = torch.load(opened, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state) if isinstance(state, Mapping) else None
    named = isinstance(state, Mapping) and all(isinstance(name, str) for name in state)
    if not named or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{file} holds no state dict of names and tensors")
    return dict(state)


def place_of(network: nn.Module, wanted: object) -> str:
    """Where a layer lies in a network; empty if it is none of its layers."""
    return next((place for place, layer in network.named_modules() if layer is wanted), "")


def last_linear(network: nn.Module) -> str:
    """Where the last linear layer of a network lies; empty if it has none."""
    places = [place for place, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    return places[-1] if places else ""


def origin_of(address: Address, licence: str, network: nn.Module, *packages: str) -> Origin:
    """Where the weights of a network come from; ``licence`` is of the published ones."""
    random = address.options.get(WEIGHTS) == RANDOM
    said = "MIT (random weights)" if random else licence
    return Origin(address.text, said, not random, versions(*packages, "torch"), fingerprint_of(network))


def fingerprint_of(network: nn.Module) -> str:
    """SHA-256 of a network's weights."""
    # Named as in run.json of the first version that had teachers, which is held against on --resume.
    return weights_fingerprint({f"network.{name}": value for name, value in network.state_dict().items()})


def to_pictures(frames: NDArray[np.uint8]) -> list[Image.Image]:
    """Frames ``(T, height, width, 3)`` as Pillow's pictures, which is what libraries take."""
    return [Image.fromarray(frame) for frame in frames]


def stacked(frames: list[Any]) -> Tensor:
    """What a transform gave for each frame: ``(T, 3, height, width)``."""
    return torch.stack([torch.as_tensor(frame) for frame in frames])


def versions(*packages: str) -> dict[str, str]:
    """The versions of the libraries that built a network."""
    return {name: version(name) for name in packages}
