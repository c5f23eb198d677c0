"""Synthetic videos as arrays and as files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from avfeat.media import Aspect, Decoded
from avfeat.media.scaler import PictureScaler
from avfeat.world.plan import SECONDS, SyntheticVideo
from avfeat.world.scene import Scene
from avfeat.writers.atomic import atomic

_FPS = (Fraction(12), Fraction(15), Fraction(20), Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(30))
_RATES = (16_000, 22_050, 32_000, 44_100, 48_000)
_SIDES = (96, 112, 128, 144, 160)
_ASPECTS = (Fraction(1), Fraction(4, 3), Fraction(16, 9), Fraction(3, 4))
_CHUNK = 1024


@dataclass(frozen=True)
class Recording:
    """How a scene was filmed and encoded."""

    width: int
    height: int
    fps: Fraction
    rate: int
    layout: str
    crf: int
    bit_rate: int

    @classmethod
    def from_video(cls, video: SyntheticVideo) -> Recording:
        """Draw the recording of ``video``."""
        rng = video.generator("recording")
        side, aspect = _SIDES[rng.integers(len(_SIDES))], _ASPECTS[rng.integers(len(_ASPECTS))]
        width, height = (side * aspect, Fraction(side)) if aspect >= 1 else (Fraction(side), side / aspect)
        return cls(
            2 * round(width / 2),
            2 * round(height / 2),
            _FPS[rng.integers(len(_FPS))],
            _RATES[rng.integers(len(_RATES))],
            ("mono", "stereo")[rng.integers(2)],
            int(rng.integers(20, 35)),
            int(rng.choice((32_000, 64_000, 96_000))),
        )


def render(
    video: SyntheticVideo, *, fps: int = 8, size: int = 112, sample_rate: int = 16_000, aspect: Aspect = "stretch"
) -> Decoded:
    """A synthetic video straight to arrays: as its file would decode, but for what the encoder loses.

    Args:
        video: which one.
        fps: frames a second; frame i shows the scene at ``(i + 0.5) / fps``.
        size: height and width of the frames in pixels.
        sample_rate: samples a second.
        aspect: what happens to pictures that are not square.
    """
    scene, recording = Scene.from_video(video), Recording.from_video(video)
    scaler = PictureScaler(size, aspect)
    frames = np.empty((SECONDS * fps, size, size, 3), dtype=np.uint8)
    for index in range(len(frames)):
        pixels = scene.picture((index + 0.5) / fps, recording.width, recording.height)
        frames[index] = scaler(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
    return Decoded(frames, fps, scene.sound(sample_rate), sample_rate, float(SECONDS), damaged=False)


def write_video(video: SyntheticVideo, path: Path) -> None:
    """Write a synthetic video as mp4 (H.264 and AAC) atomically; equal bytes every time.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    scene, recording = Scene.from_video(video), Recording.from_video(video)
    options = {"fflags": "+bitexact"}
    # In memory first: a disk that is full must not surprise the muxer in the middle of its work.
    encoded = io.BytesIO()
    with av.open(encoded, "w", format="mp4", options=options) as container:
        picture = container.add_stream(
            "libx264",
            rate=recording.fps,
            # With its macroblock tree, x264 gives other bytes every now and then, even on one thread.
            options={"crf": str(recording.crf), "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"},
        )
        picture.width, picture.height, picture.pix_fmt = recording.width, recording.height, "yuv420p"
        sound = container.add_stream("aac", rate=recording.rate, layout=recording.layout)
        sound.bit_rate = recording.bit_rate
        sound.codec_context.flags |= av.codec.context.Flags.bitexact
        picture.codec_context.flags |= av.codec.context.Flags.bitexact
        waveform = scene.sound(recording.rate)
        heard = 0
        for index in range(round(SECONDS * recording.fps)):
            pixels = scene.picture(float(index / recording.fps), recording.width, recording.height)
            container.mux(picture.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            # Sound keeps up with the pictures, as readers of a file expect.
            until = min(len(waveform), round((index + 1) / recording.fps * recording.rate))
            while heard < until and (until - heard >= _CHUNK or until == len(waveform)):
                container.mux(sound.encode(_audio_frame(waveform, heard, recording)))
                heard += _CHUNK
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    with atomic(path) as file:
        file.write(encoded.getvalue())


def _audio_frame(waveform: NDArray[np.float32], begin: int, recording: Recording) -> av.AudioFrame:
    samples = waveform[begin : begin + _CHUNK]
    channels = 2 if recording.layout == "stereo" else 1
    frame = av.AudioFrame.from_ndarray(np.tile(samples, (channels, 1)), format="fltp", layout=recording.layout)
    frame.sample_rate, frame.pts, frame.time_base = recording.rate, begin, Fraction(1, recording.rate)
    return frame
