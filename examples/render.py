"""Renders ``bounce.mp4``: balls that bounce, and sound when they hit. Every byte is made here.

    python examples/render.py examples/bounce.mp4

Ten seconds in three acts: a heavy ball, a light one, then both. A ball is seen to touch the ground in the frame
in which its impact is heard.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SECONDS, FPS, RATE = 10, 25, 44_100
WIDTH, HEIGHT, GROUND = 320, 240, 200
GRAVITY = 900.0


@dataclass(frozen=True)
class Ball:
    """A ball that is dropped at ``begin`` again and again until ``end``; its size sets its pitch."""

    x: float
    radius: float
    colour: tuple[int, int, int]
    drop: float
    spring: float
    begin: float
    end: float

    def bounces(self) -> list[tuple[float, float, float]]:
        """``(start, length, speed)`` of each flight; a flight begins with the speed that it ends with."""
        flights = []
        time, speed = self.begin, np.sqrt(2 * GRAVITY * self.drop)
        time += speed / GRAVITY
        while time < self.end:
            speed *= self.spring
            if speed < 90:
                speed = np.sqrt(2 * GRAVITY * self.drop)
            length = 2 * speed / GRAVITY
            flights.append((time, length, speed))
            time += length
        return flights

    def height(self, time: float) -> float | None:
        """Height above the ground in pixels; None while the ball is not there."""
        if not self.begin <= time < self.end:
            return None
        for start, length, speed in self.bounces():
            if start <= time < start + length:
                return speed * (time - start) - GRAVITY / 2 * (time - start) ** 2
        return self.drop - GRAVITY / 2 * (time - self.begin) ** 2


BALLS = (
    Ball(x=90, radius=26, colour=(214, 84, 62), drop=110, spring=0.82, begin=0.4, end=3.6),
    Ball(x=230, radius=13, colour=(70, 140, 220), drop=140, spring=0.9, begin=3.6, end=6.8),
    Ball(x=90, radius=26, colour=(214, 84, 62), drop=110, spring=0.82, begin=6.8, end=10.0),
    Ball(x=230, radius=13, colour=(70, 140, 220), drop=140, spring=0.9, begin=7.2, end=10.0),
)


def picture(time: float) -> NDArray[np.uint8]:
    """The scene at ``time``: uint8 ``(HEIGHT, WIDTH, 3)``."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    sky = np.stack([236 - 0.25 * rows, 238 - 0.2 * rows, 242 - 0.12 * rows], axis=-1)
    floor = np.stack([150 - 0.1 * rows, 132 - 0.1 * rows, 110 - 0.08 * rows], axis=-1)
    out = np.where((rows < GROUND)[..., None], sky, floor)
    for ball in BALLS:
        height = ball.height(time)
        if height is None:
            continue
        centre = GROUND - ball.radius - height
        shade = np.exp(-(((columns - ball.x) / ball.radius) ** 2 + ((rows - GROUND - 6) / 7) ** 2))
        out *= (1 - 0.45 * shade / (1 + height / 60))[..., None]
        distance = np.hypot(columns - ball.x, rows - centre)
        light = 0.75 + 0.35 * np.exp(
            -(np.hypot(columns - ball.x + ball.radius / 3, rows - centre + ball.radius / 3) / ball.radius)
        )
        cover = np.clip(ball.radius + 0.5 - distance, 0, 1)[..., None]
        out = out * (1 - cover) + np.array(ball.colour) * light[..., None] * cover
    return np.clip(out, 0, 255).astype(np.uint8)


def sound() -> NDArray[np.float32]:
    """All impacts, each a few decaying partials whose pitch falls with the ball's size, over a quiet room."""
    rng = np.random.default_rng(0)
    out = 0.0008 * rng.standard_normal(SECONDS * RATE)
    ringing = np.arange(int(0.35 * RATE)) / RATE
    for ball in BALLS:
        pitch = 5200 / ball.radius
        partials = sum(
            gain * np.sin(2 * np.pi * pitch * ratio * ringing) * np.exp(-ringing * decay)
            for ratio, gain, decay in ((1.0, 1.0, 14), (2.76, 0.5, 30), (5.4, 0.25, 60))
        )
        knock = rng.standard_normal(len(ringing)) * np.exp(-ringing * 220)
        for start, _, speed in ball.bounces():
            begin = int(start * RATE)
            length = min(len(ringing), len(out) - begin)
            if length > 0:
                out[begin : begin + length] += 0.0009 * speed * (0.7 * partials + 0.5 * knock)[:length]
    return np.clip(out, -1, 1).astype(np.float32)


def render(path: Path) -> None:
    """Write the clip: H.264 and AAC in mp4."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "24", "preset": "slow", "threads": "1"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono", options={"b": "64000"})
        waveform = sound()
        for index in range(SECONDS * FPS):
            frame = av.VideoFrame.from_ndarray(picture(index / FPS), format="rgb24")
            container.mux(video.encode(frame))
            begin, end = (k * RATE // FPS for k in (index, index + 1))
            samples = av.AudioFrame.from_ndarray(waveform[None, begin:end], format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = RATE, begin, Fraction(1, RATE)
            container.mux(audio.encode(samples))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


if __name__ == "__main__":
    render(Path(sys.argv[1]))
