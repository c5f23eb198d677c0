"""Which probe speaks for a file or a window: of those whose modalities are there, the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

PROBES = ("av", "video", "audio")
"""By what a probe goes: both, what is seen, what is heard."""


def preferred(validation: Mapping[str, float], count: int) -> tuple[str, ...]:
    """Probes in the order in which they are to speak: both, unless what is seen or heard alone is clearly better.

    Clearly is by more than a standard error (Breiman et al., 1984): which of two is better by less is chance.

    Args:
        validation: accuracy by probe.
        count: of the files that it stands on.
    """
    both = validation.get("av", 0.0)
    ahead = {"av": both + math.sqrt(both * (1 - both) / count)}
    return tuple(sorted(validation, key=lambda name: (-ahead.get(name, validation[name]), PROBES.index(name))))


def choose(has_video: bool, has_audio: bool, probes: Iterable[str]) -> str | None:
    """The first of ``probes`` whose modalities are all there; None if there is none."""
    there = {"av": has_video and has_audio, "video": has_video, "audio": has_audio}
    return next((name for name in probes if there[name]), None)
