"""Single frames of files as small JPEG pictures, for pages."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from avfeat.grid import MICROSECONDS, Grid, microseconds
from avfeat.media import VideoSpec, media_windows, probe
from avfeat.media.rules import Rules
from avfeat.media.spec import Pixels

WIDTH = 320
"""Of a picture, in pixels; smaller frames stay as they are."""

_AS_SHOWN = VideoSpec(fps=2, frames=1, size=None)
# By what browsers say; what is in doubt gets its frames.
_PLAYED = {"h264", "vp8", "vp9", "av1"}
_HEARD = {"aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le"}
_CONTAINERS = {".mp4", ".m4v", ".webm", ".m4a", ".mp3", ".ogg", ".oga", ".wav", ".flac"}


def frame_at(path: Path, seconds: float) -> bytes | None:
    """The frame on screen at a time as a JPEG picture; None without video. The file is decoded up to there.

    Raises:
        MediaError: the file gives no frame.
    """
    if probe(path, still=True).video is None:
        return None
    # A window whose one instant this is.
    start = microseconds(seconds) - int(_AS_SHOWN.offsets()[0])
    grid = Grid(MICROSECONDS // 2, MICROSECONDS // 2, start, start + MICROSECONDS // 2)
    with closing(media_windows(path, grid, _AS_SHOWN, None, threads=1, rules=Rules(still=True))) as windows:
        frames = next(windows).frames
    return None if frames is None else _jpeg(frames[0])


def browsers_play(path: Path) -> bool:
    """Whether browsers play a file, by its suffix and its codecs.

    Raises:
        MediaError: it cannot be read.
    """
    found = probe(path, still=True)
    seen = found.video is None or found.video.codec in _PLAYED
    heard = found.audio is None or found.audio.codec in _HEARD
    return path.suffix.lower() in _CONTAINERS and seen and heard


def _jpeg(pixels: Pixels) -> bytes:
    height, width = pixels.shape[:2]
    scale = min(1.0, WIDTH / width)
    # Half as many samples of colour: sides are even.
    width, height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(width, height, "yuvj420p")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height = width, height
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    encoder.options = {"qmin": "4", "qmax": "4"}
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
