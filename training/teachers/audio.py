"""Networks of sound as teachers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.transforms import Resample

from avfeat.errors import ArgumentError
from avfeat.training.backbones.backbone import AudioBackbone, as_outputs
from avfeat.training.networks import PairSpec
from avfeat.training.teachers.lesson import Lesson, TeacherOutput


class AudioTeacher(nn.Module):
    """A network on the student's waveform: features, and how likely each of its classes is heard.

    Attributes:
        lesson: what it gives.
        facts: ``source``, ``fingerprint``, and ``licence`` of its weights in words.
    """

    def __init__(self, backbone: AudioBackbone, student: PairSpec) -> None:
        """Make a teacher of a trained network.

        Args:
            backbone: the network and what it takes.
            student: whose windows it will hear.

        Raises:
            ArgumentError: windows that are too short for it, or too long.
        """
        super().__init__()
        shortest, longest, origin = backbone.shortest, backbone.longest, backbone.origin
        if student.seconds < shortest:
            raise ArgumentError(
                f"hears windows of {shortest:g} s or longer, not {student.seconds:g}; "
                f"set encoders.seconds={shortest:g}."
            )
        if longest is not None and student.seconds > longest:
            raise ArgumentError(
                f"hears {longest:g} s of sound at most, not {student.seconds:g}; set encoders.seconds={longest:g}."
            )
        self._network, self._classifier = backbone.network, backbone.classifier
        self._resample = Resample(student.sample_rate, backbone.rate)
        self.requires_grad_(False).eval()
        with torch.inference_mode():
            found = self(torch.zeros(1, round(student.seconds * student.sample_rate)))
        classes = 0 if found.scores is None else found.scores.shape[1]
        self.lesson = Lesson(found.features.shape[1], classes, several=classes > 0)
        self.facts = {"source": origin.spec, "fingerprint": origin.fingerprint, "licence": origin.licence}

    def forward(self, x: Tensor) -> TeacherOutput:
        """The waveform ``(n, samples)`` to what is taught."""
        # Powers of the spectrum span more than half precision holds.
        with torch.autocast(x.device.type, enabled=False):
            features = as_outputs(self._network(self._resample(x.float())))[0]
            classes = None if self._classifier is None else self._classifier(features)
        return TeacherOutput(features, None if classes is None else torch.sigmoid(classes))
