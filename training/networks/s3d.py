"""S3D: an Inception network with separable convolutions over space and time.

Source: Xie et al., "Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video Classification",
ECCV 2018 (arXiv 1712.04851), as in torchvision.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.video import s3d

from avfeat.training.networks.parts import Pixels, usual_momentum
from avfeat.training.networks.published import PublishedWeights


class S3D(nn.Module):
    """``(batch, T, 3, height, width)`` in [0, 1] to ``(batch, 1024)`` at about unit scale.

    Averages over all that is left of space and time, so it takes what torchvision's own pooling (14 frames of 224
    pixels or more) does not.
    """

    FRAMES, SIZE = 5, 17
    """The least that its last pooling layer can halve."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 1024
        self.pixels = Pixels()
        self.layers = usual_momentum(s3d(weights=None).features)
        self.norm = nn.BatchNorm1d(self.dim, affine=False)

    def adopt(self, published: PublishedWeights) -> None:
        """Take all weights but the classifier's."""
        published.load_into(self.layers, below="features.")
        self.pixels.use(published.mean, published.std)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, T, 3, height, width)`` to ``(batch, 1024)``."""
        out: Tensor = self.norm(self.layers(self.pixels(x).transpose(1, 2)).mean((2, 3, 4)))
        return out
