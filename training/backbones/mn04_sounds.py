"""``mn04_as`` as a network of sound: from a file, or from the net."""

from __future__ import annotations

import copy
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avfeat.training.backbones.backbone import AudioBackbone, Origin
from avfeat.training.backbones.loaded import versions
from avfeat.training.backbones.mn04 import SAMPLE_RATE, ConvolvedKaldiMel, Mn04, load_mn04
from avfeat.training.data.sources.address import Address
from avfeat.training.networks.published import WeightsError
from avfeat.training.provenance import weights_fingerprint

_FILE = "mn04_as_mAP_432.pt"
_URL = f"https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/{_FILE}"


def mn04_sounds(file: str, address: Address) -> AudioBackbone:
    """EfficientAT's ``mn04_as``.

    Args:
        file: of its weights; empty for the one in torch's folder of downloads, which is fetched if it is not there.
        address: as it was asked for.

    Raises:
        ArgumentError: options.
        WeightsError: weights that cannot be fetched or read.
    """
    address.check_options((), "mn04_as")
    network = load_mn04(Path(file).expanduser() if file else _download())

    def pipeline(waveform: NDArray[np.float32]) -> tuple[Tensor, ...]:
        return (network.embed(torch.from_numpy(waveform)[None]),)

    # Called by its name alone: wherever the file lies, it is the same network.
    origin = Origin("mn04_as", "MIT (EfficientAT)", True, versions("torch"))
    origin = replace(origin, fingerprint=weights_fingerprint(network.state_dict()))
    return AudioBackbone(
        _Features(network), SAMPLE_RATE, pipeline, origin, shortest=1.0, classifier=network.classifier
    )


class _Features(nn.Module):
    """Waveform to features, by operators that every runtime has."""

    def __init__(self, network: Mn04) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.network.mel = ConvolvedKaldiMel()
        self.network.classifier = nn.Sequential()

    def forward(self, waveform: Tensor) -> Tensor:
        return self.network.embed(waveform)


def _download() -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / _FILE
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # torch may announce a download on stdout, where results go.
        with redirect_stdout(sys.stderr):
            torch.hub.download_url_to_file(_URL, str(path), progress=sys.stderr.isatty())
    except (OSError, HTTPException, RuntimeError) as error:
        why = getattr(error, "reason", None) or error
        raise WeightsError(
            f"{_URL}: cannot be fetched ({why}); put the file into {path.parent}, or name it: mn04_as:PATH."
        ) from error
    return path
