"""Published weights: fetched and checked by torchvision, read without running any code of theirs."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from avfeat.errors import AvfeatError


class WeightsError(AvfeatError):
    """Published weights that cannot be fetched or read, or that are those of another network."""


@dataclass(frozen=True, eq=False)
class PublishedWeights:
    """Weights of a torchvision network.

    Attributes:
        file: where they lie.
        state: its state dict.
        mean: of red, green and blue in [0, 1], as the network was trained.
        std: their standard deviations.
    """

    file: Path
    state: Mapping[str, Tensor]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def load_into(self, network: nn.Module, below: str = "", fresh: tuple[str, ...] = (), mono: str = "") -> None:
        """Give ``network`` these weights, all of them but those that are said to stay fresh.

        Args:
            network: takes the weights in place.
            below: where it lies in the published network, such as ``features.``.
            fresh: names in ``network`` that begin so keep the weights that they have; published ones are dropped.
            mono: name of a convolution's weight that sees one channel here and three there. It becomes the sum over
                the three (three times their mean): its output is that of a grey image, so it keeps its size.

        Raises:
            WeightsError: the weights are not those of this network.
        """
        state = {name.removeprefix(below): value for name, value in self.state.items() if name.startswith(below)}
        known = {name: value for name, value in state.items() if not name.startswith(fresh)}
        if mono in known:
            known[mono] = known[mono].sum(1, keepdim=True)
        try:
            result = network.load_state_dict(known, strict=False)
        except RuntimeError as error:
            raise self._foreign(str(error).splitlines()[-1].strip()) from error
        missing = [name for name in result.missing_keys if not name.startswith(fresh)]
        for what, names in (("no", missing), ("an unknown", result.unexpected_keys)):
            if names:
                raise self._foreign(f"{what} {names[0]}")

    def _foreign(self, why: str) -> WeightsError:
        return WeightsError(
            f"{self.file}: holds the weights of another network ({why}); delete it, or take init: none."
        )


class Initialisable(Protocol):
    """A backbone that published weights exist for."""

    def adopt(self, published: PublishedWeights) -> None:
        """Take the weights, and the scale of pixels that goes with them."""


def fetch(weights: WeightsEnum, instead: str = "take init: none") -> PublishedWeights:
    """Weights from the folder where torch keeps downloads (``$TORCH_HOME/hub/checkpoints``), or else from the net.

    Args:
        weights: a member of one of torchvision's enumerations. What is downloaded is held against the hash in the
            file's name; a file that lies there already is not.
        instead: what else can be done where they cannot be fetched.

    Raises:
        WeightsError: the file can neither be found nor fetched, or is broken.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(urlparse(weights.url).path).name
    state = _state(weights, file, instead)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{file}: holds no weights; delete it, and the next run fetches it again.")
    preset = weights.transforms()
    return PublishedWeights(file, state, tuple(preset.mean), tuple(preset.std))


def _state(weights: WeightsEnum, file: Path, instead: str) -> Any:
    try:
        # torch announces a download on stdout, where results go.
        with redirect_stdout(sys.stderr):
            return weights.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, map_location="cpu", weights_only=True
            )
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        if file.exists():
            raise WeightsError(f"{file}: cannot be read; delete it, and the next run fetches it again.") from error
        why = getattr(error, "reason", None) or error
        raise WeightsError(
            f"{weights.url}: cannot be fetched ({why}); put the file into {file.parent}, or {instead}."
        ) from error
