"""Which probe speaks for a file or a window: the one of what is there."""

from __future__ import annotations

from collections.abc import Collection

PROBES = ("av", "video", "audio")
"""By what a probe goes, in the order in which they are preferred: both, what is seen, what is heard."""


def choose(has_video: bool, has_audio: bool, able: Collection[str]) -> str | None:
    """The first of ``PROBES`` that is among ``able`` and whose modalities are all there; None if none is."""
    there = {"av": has_video and has_audio, "video": has_video, "audio": has_audio}
    return next((name for name in PROBES if name in able and there[name]), None)
