"""What a file says of itself, without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

from avfeat.media.rules import RuleOptions, Rules
from avfeat.media.source import Source, open_media


@dataclass(frozen=True)
class VideoInfo:
    """The default video stream: codec, stored size in pixels, average frames a second (None: not stated)."""

    codec: str
    width: int
    height: int
    fps: float | None


@dataclass(frozen=True)
class AudioInfo:
    """The default audio stream: codec, sample rate in Hz, channel layout."""

    codec: str
    sample_rate: int
    layout: str


@dataclass(frozen=True)
class MediaInfo:
    """A media file: container format, stated duration in seconds (None: not stated), and its streams."""

    name: str
    format: str
    duration: float | None
    video: VideoInfo | None
    audio: AudioInfo | None


def probe(source: Source, **rules: Unpack[RuleOptions]) -> MediaInfo:
    """Read the headers of ``source``, by the fields of ``Rules``.

    Raises:
        MediaError: the file is missing, empty, unreadable, or holds no stream that can be decoded.
    """
    with open_media(source, rules=Rules(**rules)) as media:
        video = audio = None
        if media.video is not None:
            context = media.video.codec_context
            rate = media.video.average_rate
            video = VideoInfo(context.name, context.width, context.height, float(rate) if rate else None)
        if media.audio is not None:
            sound = media.audio.codec_context
            audio = AudioInfo(sound.name, sound.sample_rate, sound.layout.name)
        duration = media.container.duration
        return MediaInfo(
            media.name, media.container.format.name, duration / 1e6 if duration else None, video, audio
        )
