"""Encoders by name: each gives backbone ``features`` for probes and a ``shared`` embedding for comparison.

Video networks take float32 ``(batch, T, 3, height, width)`` RGB in [0, 1]; audio networks take float32
``(batch, 1, mels, time)`` log-mel spectrograms. Both return ``(batch, features)``. A new network is one file
and one line in ``registry``.

Published weights come from torchvision, ImageNet's for MobileNetV3 and ResNet-18, Kinetics-400's for the networks
with convolutions over time; and from a package, EfficientNet-Lite0's.
"""

from avfeat.training.networks.encoder import EncoderPair, ModalityEncoder
from avfeat.training.networks.registry import AUDIO_NETWORKS, PAIRS, VIDEO_NETWORKS, Network, build_pair
from avfeat.training.networks.spec import Init, PairSpec

__all__ = [
    "AUDIO_NETWORKS",
    "PAIRS",
    "VIDEO_NETWORKS",
    "EncoderPair",
    "Init",
    "ModalityEncoder",
    "Network",
    "PairSpec",
    "build_pair",
]
