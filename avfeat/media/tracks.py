"""Which streams of a container count, and whether its frames are a video of a size that may be decoded."""

from __future__ import annotations

from typing import Literal, cast

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from avfeat.errors import MediaError
from avfeat.media.containers import STILLS
from avfeat.media.rules import Rules
from avfeat.processors import available_processors

Kind = Literal["video", "audio"]

_AT_ONCE = 4 * 3840 * 2160
"""Pixels that the decoding threads of a stream may have in hand: each of them holds a frame or more."""
_MOST_THREADS = 16
_THREADED = frozenset({"h264", "hevc", "vvc", "vp9", "av1", "libdav1d", "mpeg2video", "mjpeg", "prores", "dnxhd"})
"""Decoders that say so when they meet damage, so that one thread can do it over: see Timeline.

VP8, FFV1 and others make something else of the same damaged bytes with every number of threads, without a word.
"""
# ISO/IEC 23008-12 and AVIF: files of one frame, in the container of mp4.
_STILL_BRANDS = frozenset({"avif", "heic", "heix", "heif", "mif1"})


def choose_streams(
    container: InputContainer, name: str, rules: Rules
) -> tuple[VideoStream | None, AudioStream | None]:
    """The video and the audio stream of ``container`` that ``rules`` ask for.

    Raises:
        MediaError: there is neither, or no such track.
    """
    video = cast("VideoStream | None", _stream(container, "video", rules.video_track, name))
    audio = cast("AudioStream | None", _stream(container, "audio", rules.audio_track, name))
    if video is None and audio is None:
        raise MediaError(name, "no_streams", "has neither a video nor an audio stream that can be decoded.")
    return video, audio


def threads_for(stream: Stream, threads: int) -> int:
    """How many of ``threads`` (0: all processors) decode ``stream``: fewer where frames are large.

    Audio is decoded by one, which is fast: several lose what lies before damage at the end, without a word.
    """
    if not isinstance(stream, VideoStream) or stream.codec_context.name not in _THREADED:
        return 1
    threads = min(threads or available_processors(), _MOST_THREADS)
    pixels = max(1, stream.codec_context.width * stream.codec_context.height)
    return max(1, min(threads, _AT_ONCE // pixels))


def check_picture(container: InputContainer, size: tuple[int, int], name: str, rules: Rules) -> None:
    """Refuse a video of ``size`` (width, height; zeros if they are not known) that is none, or is too large.

    Raises:
        MediaError: ``still``, ``too_large`` or ``unreadable``.
    """
    width, height = size
    if width * height > rules.max_pixels:
        message = f"its frames have {width} x {height} pixels, more than max_pixels ({rules.max_pixels}) allows."
        raise MediaError(name, "too_large", message)
    if container.format.name == "webp_pipe" and not width:
        message = "is an animated WebP, or a broken one, which FFmpeg does not decode; convert it to GIF or mp4."
        raise MediaError(name, "unreadable", message)
    still = container.format.name in STILLS or container.metadata.get("major_brand") in _STILL_BRANDS
    if still and not rules.still:
        raise MediaError(
            name, "still", "is a still picture, not a video; --still (still=True) embeds it as one frame."
        )


def _stream(container: InputContainer, kind: Kind, track: int | None, name: str) -> Stream | None:
    """The track that was asked for, or FFmpeg's choice of the default stream, but never an attached picture."""
    candidates = [stream for stream in container.streams if stream.type == kind and _counts(stream)]
    if track is not None:
        if track >= len(candidates):
            raise MediaError(name, "no_streams", f"has no {kind} track {track}; {_list_streams(candidates, kind)}.")
        return candidates[track]
    best = container.streams.best(kind)
    if best is not None and any(stream.index == best.index for stream in candidates):
        return best
    marked = [stream for stream in candidates if stream.disposition & Disposition.default]
    return next(iter(marked or candidates), None)


def _counts(stream: Stream) -> bool:
    """Whether it is no attached picture, and has a decoder."""
    attached = bool(stream.disposition & Disposition.attached_pic)
    return not attached and getattr(stream, "codec_context", None) is not None


def _list_streams(candidates: list[Stream], kind: Kind) -> str:
    if not candidates:
        return f"there is no {kind} that can be decoded"
    return f"it has {len(candidates)}, counted from 0"
