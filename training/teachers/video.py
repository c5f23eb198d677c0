"""Networks of frames as teachers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avfeat.training.backbones.backbone import VideoBackbone, as_outputs
from avfeat.training.networks.channels_last import to_channels_last
from avfeat.training.teachers.lesson import Lesson, TeacherOutput


class VideoTeacher(nn.Module):
    """A network that is shown frames of a window; what an image network gives are means over them.

    Whole frames are resized to the size that the network sees: nothing is cut off that the student may look at.

    Attributes:
        lesson: what it gives.
        facts: ``source``, ``fingerprint``, and ``licence`` of its weights in words.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: VideoBackbone, frames: int) -> None:
        """Make a teacher of a trained network.

        Args:
            backbone: the network and what it takes.
            frames: how many of a window an image network is shown, evenly spaced; all of them where a window has
                no more. A video network is shown as many as it takes.
        """
        super().__init__()
        look, origin = backbone.look, backbone.origin
        self._network = backbone.network if backbone.fps else to_channels_last(backbone.network)
        self._classifier = backbone.classifier
        self.register_buffer("mean", torch.tensor(look.mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(look.std).reshape(3, 1, 1))
        self._size, self._together = look.crop, backbone.fps is not None
        self._frames = backbone.frames if self._together else frames
        # Neither torch nor a runtime has Lanczos for tensors; the cubic is the nearest to it.
        self._kernel = "bilinear" if look.kernel == "bilinear" else "bicubic"
        self.requires_grad_(False).eval()
        self.lesson = Lesson(*self._widths())
        self.facts = {"source": origin.spec, "fingerprint": origin.fingerprint, "licence": origin.licence}

    def forward(self, x: Tensor) -> TeacherOutput:
        """Frames ``(n, T, 3, height, width)`` in [0, 1] to what is taught."""
        count = self._frames if self._together else min(self._frames, x.shape[1])
        places = [(2 * number + 1) * x.shape[1] // (2 * count) for number in range(count)]
        # Not x[:, places]: a GPU would be waited for while they are copied to it.
        shown = torch.stack([x[:, place] for place in places], dim=1).flatten(0, 1)
        if shown.shape[2:] != self._size:
            shown = F.interpolate(shown, list(self._size), mode=self._kernel, antialias=True).clamp(0, 1)
        scaled = (shown - self.mean) / self.std
        if self._together:
            scaled, count = torch.unflatten(scaled, 0, (-1, count)).transpose(1, 2), 1
        features = as_outputs(self._network(scaled))[0]
        classes = None if self._classifier is None else self._classifier(features)
        shares = None if classes is None else _mean_of(torch.softmax(classes.float(), 1), count)
        return TeacherOutput(_mean_of(features.float(), count), shares)

    def _widths(self) -> tuple[int, int]:
        with torch.inference_mode():
            found = self(torch.zeros(1, 1, 3, *self._size))
        return found.features.shape[1], 0 if found.scores is None else found.scores.shape[1]


def _mean_of(rows: Tensor, count: int) -> Tensor:
    """``(n * count, width)``, the frames of a window next to each other, to ``(n, width)``."""
    return rows.view(-1, count, rows.shape[1]).mean(1)
