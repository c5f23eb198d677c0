"""Spatiotemporal augmentations: batched, on the device, each sample with its own random numbers.

``temporal`` and ``segmental`` lose content in time and keep the order; ``spatial`` and ``spectral`` lose it in
every frame and in the spectrum; ``incoherent`` loses the order. ``compose`` puts them together; the sampling-based
ones are the loader's (``avfeat.training.data.sampling``).
"""

from avfeat.training.augment.augmentation import Augmentation, Family, TemporalAugmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.compose import Composition, composition, list_compositions, load_composition
from avfeat.training.augment.registry import AUGMENTATIONS, name_of
from avfeat.training.augment.sample_rng import SampleRNG

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Clips",
    "Composition",
    "Family",
    "SampleRNG",
    "TemporalAugmentation",
    "composition",
    "list_compositions",
    "load_composition",
    "name_of",
]
