"""The window that networks of others are given."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Literal, get_args

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.export.window import WindowSpec, audio_of
from avfeat.media import VideoSpec
from avfeat.training.backbones.backbone import AudioBackbone, Steps, VideoBackbone

_SECONDS = 2.0

FrameSize = Literal["original", "network"]
"""Of what a graph is given: frames as decoded, which it resizes as the library does; or as FFmpeg scales them."""
FRAME_SIZES = get_args(FrameSize)


def choose_window(
    video: VideoBackbone | None,
    audio: AudioBackbone | None,
    seconds: float | None,
    frames: int | None,
    size: FrameSize = "original",
) -> WindowSpec:
    """The window that is asked for, or the one that suits the networks.

    Args:
        video: the network of frames, or None.
        audio: the network of sound, or None.
        seconds: of a window; None for what suits the networks.
        frames: of a window; None likewise.
        size: of the frames that the graph is given.

    Raises:
        ArgumentError: another number of frames than a video network takes, or a window that is too short, or too
            long for an audio network.
    """
    fixed = video is not None and video.fps is not None and not video.any_count
    if video is not None and fixed and frames not in (None, video.frames):
        raise ArgumentError(f"{video.origin.spec}: takes {video.frames} frames at a time, not {frames}.")
    if seconds is None:
        seconds = _usual(video, audio)
    if seconds < 0.1:
        raise ArgumentError(f"A window must be 0.1 s or longer, not {seconds:g} s.")
    if audio is not None and seconds < audio.shortest:
        raise ArgumentError(
            f"{audio.origin.spec}: takes windows of {audio.shortest:g} s or longer, not {seconds:g} s."
        )
    if audio is not None and audio.longest is not None and seconds > audio.longest:
        raise ArgumentError(f"{audio.origin.spec}: takes {audio.longest:g} s of sound at most, not {seconds:g} s.")
    shown = None
    if video is not None:
        count = frames or video.frames
        shown = VideoSpec(count / seconds, count, None)
        if size == "network":
            shown = replace(shown, size=video.look.size, aspect=video.look.aspect)
    return WindowSpec(seconds, shown, None if audio is None else audio_of(seconds, audio.rate))


def steps_of(window: WindowSpec, video: VideoBackbone | None, audio: AudioBackbone | None) -> dict[Modality, Steps]:
    """When the rows within a window are, of the networks that give some.

    Raises:
        ArgumentError: none does.
    """
    found: dict[Modality, Steps] = {}
    if video is not None and window.video is not None and (video.fps is None or video.rows is not None):
        found["video"] = Steps.of_video(window.video.fps, *(video.rows or ()))
    if audio is not None and audio.steps is not None:
        found["audio"] = audio.steps
    asked = [backbone.origin.spec for backbone in (video, audio) if backbone is not None]
    if not found:
        raise ArgumentError(
            f"{' and '.join(asked)}: one row a window is all there is, so none can be kept; take another --pool."
        )
    if len(found) < len(asked):
        one = asked["video" in found]
        warnings.warn(f"{one}: one row a window is all there is; none are kept within it.", stacklevel=3)
    return found


def _usual(video: VideoBackbone | None, audio: AudioBackbone | None) -> float:
    """The time that a video network's frames take; else what the audio network takes."""
    if video is not None and video.fps is not None:
        return round(video.frames / video.fps, 6)
    return _SECONDS if audio is None else audio.seconds
