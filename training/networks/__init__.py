"""Encoders by name: each gives backbone ``features`` for probes and a ``shared`` embedding for comparison.

Video networks take float32 ``(batch, T, 3, height, width)`` RGB in [0, 1]; audio networks take float32
``(batch, 1, mels, time)`` log-mel spectrograms. Both return ``(batch, features)``. A new network is one file
and one line in ``registry``.
"""

from avfeat.training.networks.encoder import Encoder, EncoderPair
from avfeat.training.networks.registry import AUDIO_NETWORKS, PAIRS, VIDEO_NETWORKS, PairSpec, build_pair

__all__ = ["AUDIO_NETWORKS", "PAIRS", "VIDEO_NETWORKS", "Encoder", "EncoderPair", "PairSpec", "build_pair"]
