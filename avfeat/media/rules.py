"""What of a file is taken, and how much of this machine it may ask for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TypedDict

from avfeat.arguments import check_flag, is_number, shown
from avfeat.errors import ArgumentError, MediaError
from avfeat.grid import FAR
from avfeat.stop import raise_if_stopped

MAX_PIXELS = 8192 * 8192
"""Twice the pixels of 8K (7680 x 4320): above what cameras give, and a frame still takes less than half a GB."""

TRACKS = ("audio_track", "video_track")


class RuleOptions(TypedDict, total=False):
    """The fields of ``Rules`` as keyword arguments, each with its default."""

    max_pixels: int
    max_duration: float | None
    timeout: float | None
    audio_track: int | None
    video_track: int | None
    still: bool
    playlist: bool


@dataclass(frozen=True)
class Rules:
    """How a caller wants files to be read.

    Attributes:
        max_pixels: frames of more pixels are refused before they are decoded.
        max_duration: seconds of media beyond which a file is a failure; None for any length.
        timeout: seconds that reading and embedding one file may take; None for any time. Looked at with every
            packet and read: it ends a slow file, but not a decoder that hangs.
        audio_track: which audio stream, counted from 0; None for the default one.
        video_track: which video stream, counted from 0; None for the default one.
        still: a still picture is taken for a video of one frame.
        playlist: the path of an HLS playlist stands for the files that it names, in its own folder or below.

    Raises:
        ArgumentError: a limit that is not positive, a track below 0, or arguments of another kind.
    """

    max_pixels: int = MAX_PIXELS
    max_duration: float | None = None
    timeout: float | None = None
    audio_track: int | None = None
    video_track: int | None = None
    still: bool = False
    playlist: bool = False

    def __post_init__(self) -> None:
        for name in ("max_pixels", "max_duration", "timeout"):
            value = getattr(self, name)
            given = value is not None or name == "max_pixels"
            if given and not (is_number(value) and 0 < value <= FAR):
                raise ArgumentError(f"{name} must be a positive number of at most {FAR:g}, not {shown(value)}.")
        for name in TRACKS:
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise ArgumentError(f"{name} must be a whole number from 0 on, not {shown(value)}.")
        for name in ("still", "playlist"):
            check_flag(name, getattr(self, name))

    def choice(self) -> dict[str, int]:
        """What was asked for in place of the default streams, as outputs say it."""
        return {name: track for name in TRACKS if (track := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Deadline:
    """When the work on one file has to be over: ``moment`` of the monotonic clock, None for never."""

    name: str
    seconds: float | None
    moment: float | None

    @classmethod
    def from_seconds(cls, name: str, seconds: float | None) -> Deadline:
        """The deadline of a file that is begun now."""
        return cls(name, seconds, None if seconds is None else time.monotonic() + seconds)

    def check(self) -> None:
        """Raise what ends the work, if something does: a signal, or the time.

        Raises:
            MediaError: ``timeout``.
        """
        raise_if_stopped()
        if self.moment is not None and time.monotonic() > self.moment:
            message = f"took longer than the timeout of {self.seconds:g} s; give it more, or a smaller file."
            raise MediaError(self.name, "timeout", message)
