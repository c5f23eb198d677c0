"""All augmentations by the name that they have in YAML: that of their class, in snake case."""

from __future__ import annotations

import re

from avfeat.training.augment import incoherent, segmental, spatial, spectral, temporal
from avfeat.training.augment.augmentation import Augmentation

_CLASSES: tuple[type[Augmentation], ...] = (
    temporal.TimeMask,
    temporal.FrameDrop,
    temporal.Fade,
    temporal.TemporalBlur,
    temporal.Background,
    segmental.Cuboid,
    segmental.SegmentBlur,
    segmental.SegmentNoise,
    spatial.ResizedCrop,
    spatial.Flip,
    spatial.ColourJitter,
    spatial.Grey,
    spatial.Blur,
    spatial.Noise,
    spatial.Cutout,
    spectral.FrequencyMask,
    spectral.PitchShift,
    spectral.TimeStretch,
    spectral.ColouredNoise,
    spectral.Gain,
    incoherent.FrameShuffle,
    incoherent.SegmentPermutation,
    incoherent.Reversal,
    incoherent.CircularShift,
)


def name_of(augmentation: Augmentation | type[Augmentation]) -> str:
    """``TimeMask`` is ``time_mask``."""
    kind = augmentation if isinstance(augmentation, type) else type(augmentation)
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


AUGMENTATIONS: dict[str, type[Augmentation]] = {name_of(kind): kind for kind in _CLASSES}
"""By name, in the order above: one line here is all that registers an augmentation."""
