"""The 28 classes of the synthetic dataset: how something moves, how it sounds, in which rhythm, and how both go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avfeat.world.motions import Motion
from avfeat.world.rhythm import Rhythm
from avfeat.world.voices import Voice

Coupling = Literal["together", "apart"]
"""``together``: the sound comes with the motion; ``apart``: half a beat later."""


@dataclass(frozen=True)
class Category:
    """One class of events.

    Attributes:
        name: as it stands in ``Annotations.txt``; never holds ``&``.
        motion: how the thing moves from beat to beat.
        voice: what is heard from beat to beat.
        rhythm: how the beats follow each other.
        coupling: whether sound and motion share their beats.
        weight: how frequent it is; the counts of AVE's own 28 classes.
    """

    name: str
    motion: Motion
    voice: Voice
    rhythm: Rhythm
    coupling: Coupling
    weight: int


CATEGORIES = (
    Category("Bounce", "hop", "hit", "even", "together", 188),
    Category("Bounce, off the beat", "hop", "hit", "even", "apart", 176),
    Category("Bounce, settling", "hop", "hit", "settling", "together", 171),
    Category("Hop with a chirp", "hop", "rise", "even", "together", 184),
    Category("Pendulum tick", "swing", "hit", "even", "together", 188),
    Category("Pendulum swoosh", "swing", "swoosh", "even", "together", 175),
    Category("Pendulum knock-knock", "swing", "double", "even", "together", 178),
    Category("Spinning siren", "spin", "siren", "even", "together", 187),
    Category("Spinning ratchet", "spin", "trill", "even", "together", 172),
    Category("Stick-slip swoosh", "slide", "swoosh", "even", "together", 163),
    Category("Stick-slip ratchet", "slide", "trill", "even", "together", 182),
    Category("Stick-slip whoop", "slide", "fall", "even", "together", 138),
    Category("Breathing siren", "swell", "siren", "even", "together", 102),
    Category("Breathing siren, inverted", "swell", "siren", "even", "apart", 99),
    Category("Heartbeat", "swell", "hit", "gallop", "together", 186),
    Category("Clap with a ratchet", "clap", "trill", "even", "together", 176),
    Category("Clap (crackling)", "clap", "crackle", "even", "together", 160),
    Category("Clap with a chirp", "clap", "rise", "even", "together", 183),
    Category("Hammer", "strike", "hit", "even", "together", 100),
    Category("Hammer (crackling)", "strike", "crackle", "even", "together", 83),
    Category("Twang, knock-knock", "shiver", "double", "even", "together", 69),
    Category("Twang, whoop", "shiver", "fall", "even", "together", 160),
    Category("Orbiting siren", "orbit", "siren", "even", "together", 60),
    Category("Orbiting swoosh", "orbit", "swoosh", "even", "together", 64),
    Category("Two in turn, knocking", "duo", "hit", "even", "together", 180),
    Category("Two in turn, whooping", "duo", "fall", "even", "together", 109),
    Category("Falling with a chirp", "fall", "rise", "even", "together", 154),
    Category("Falling (crackling)", "fall", "crackle", "even", "together", 156),
)
"""In the order of ``Annotations.txt``. Weights: AVE's class totals (Tian et al., ECCV 2018), in its order."""

BY_NAME = {category.name: category for category in CATEGORIES}
