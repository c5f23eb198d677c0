"""``mn04_as`` as a teacher: resampled to its rate, from a file or from the net."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn
from torchaudio.transforms import Resample

from avfeat.errors import ArgumentError
from avfeat.training.networks import PairSpec
from avfeat.training.networks.published import WeightsError
from avfeat.training.provenance import weights_fingerprint
from avfeat.training.teachers.lesson import Lesson, TeacherOutput
from avfeat.training.teachers.mn04 import CLASSES, FEATURES, SAMPLE_RATE, Mn04, load_mn04

_FILE = "mn04_as_mAP_432.pt"
_URL = f"https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/{_FILE}"


class AudioTeacher(nn.Module):
    """``mn04_as`` on the student's waveform: features, and how likely each of AudioSet's classes is heard.

    Attributes:
        lesson: what it gives.
        facts: ``source``, the network whatever its file, ``fingerprint``, and ``licence`` of its weights in words.
    """

    def __init__(self, network: Mn04, sample_rate: int) -> None:
        """Make a teacher of the network with its weights, for waveforms of that rate in Hz."""
        super().__init__()
        self._network = network
        self._resample = Resample(sample_rate, SAMPLE_RATE)
        self.requires_grad_(False).eval()
        self.lesson = Lesson(FEATURES, CLASSES, several=True)
        self.facts = {
            "source": "mn04_as",
            "fingerprint": weights_fingerprint(network.state_dict()),
            "licence": "MIT (EfficientAT)",
        }

    def forward(self, x: Tensor) -> TeacherOutput:
        """The waveform ``(n, samples)`` to what is taught."""
        # Powers of the spectrum span more than half precision holds.
        with torch.autocast(x.device.type, enabled=False):
            features, classes = self._network(self._resample(x.float()))
        return TeacherOutput(features, torch.sigmoid(classes))


def mn04_as(file: str, student: PairSpec) -> AudioTeacher:
    """EfficientAT's ``mn04_as``.

    Args:
        file: of its weights; empty for the one in torch's folder of downloads, which is fetched if it is not there.
        student: whose windows it will hear.

    Raises:
        ArgumentError: windows that are too short for it.
        WeightsError: weights that cannot be fetched or read.
    """
    if student.seconds < 1:
        raise ArgumentError(f"hears windows of 1 s or longer, not {student.seconds:g}; set encoders.seconds=1.")
    network = load_mn04(Path(file).expanduser() if file else _download())
    return AudioTeacher(network, student.sample_rate)


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
