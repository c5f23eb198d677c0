"""Where things happen: palettes, background textures, camera, passers-by; rooms, noises, microphones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfeat.world.drawing import SHAPES, Canvas, Colour, Shape

_TEXTURE = 288
"""Side of a background texture in pixels; it covers more than the picture, so that the camera can move."""
_COVER = 1.5


@dataclass(frozen=True)
class Camera:
    """A hand-held camera: slow sways and a tremble, as sums of sines (amplitude, Hz, phase) for x, y and zoom."""

    sways: NDArray[np.float64]

    def at(self, time: float) -> tuple[float, float, float]:
        """Shift to the right and down in units of the shorter side, and zoom."""
        amplitude, frequency, phase = self.sways
        x, y, zoom = (amplitude * np.sin(2 * np.pi * (frequency * time + phase))).sum(axis=1)
        return float(x), float(y), float(1 + zoom)


@dataclass(frozen=True)
class Passer:
    """A thing that has nothing to do with the event: it drifts, or lies there."""

    shape: Shape
    colour: Colour
    radius: float
    start: tuple[float, float]
    speed: tuple[float, float]

    def draw(self, canvas: Canvas, time: float) -> None:
        """Paint it where it is at ``time`` seconds."""
        x, y = (place + speed * time for place, speed in zip(self.start, self.speed, strict=True))
        canvas.paint(SHAPES[self.shape], x, y, self.radius, self.colour)


@dataclass(frozen=True)
class Backdrop:
    """What is seen besides the event."""

    texture: NDArray[np.float32]
    camera: Camera
    passers: tuple[Passer, ...]

    def canvas(self, time: float, width: int, height: int) -> Canvas:
        """The background as the camera sees it at ``time`` seconds, passers-by included."""
        x, y, zoom = self.camera.at(time)
        unit = min(width, height) * zoom
        rows, columns = (_mirror((_centre(n) / unit + at) / _COVER) for n, at in ((height, y), (width, x)))
        picked: NDArray[np.float32] = self.texture[rows][:, columns]
        canvas = Canvas(picked, (x, y), zoom)
        for passer in self.passers:
            passer.draw(canvas, time)
        return canvas


def _centre(count: int) -> NDArray[np.float64]:
    return np.arange(count, dtype=np.float64) - (count - 1) / 2


def _mirror(places: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the texture; a wide picture sees more than it covers, and finds it mirrored there."""
    folded = np.abs((places + 0.5) % 2.0)
    folded = np.where(folded > 1, 2 - folded, folded)
    return np.minimum((folded * _TEXTURE).astype(np.intp), _TEXTURE - 1)


def draw_palette(rng: np.random.Generator) -> tuple[NDArray[np.float32], Colour, Colour]:
    """Three colours of a background ``(3, 3)``, and two for the thing, which stand out from it."""
    base = rng.uniform(20, 235, 3)
    ground = np.clip(base + rng.normal(0, 32, (3, 3)), 0, 255)
    while True:
        pair = rng.uniform(0, 255, (2, 3))
        contrast = np.abs(pair @ (0.299, 0.587, 0.114) - ground.mean(0) @ np.array((0.299, 0.587, 0.114)))
        if contrast[0] > 60 and contrast[1] > 35 and np.abs(pair[0] - pair[1]).max() > 60:
            return ground.astype(np.float32), pair[0].astype(np.float32), pair[1].astype(np.float32)


def draw_backdrop(rng: np.random.Generator, ground: NDArray[np.float32]) -> Backdrop:
    """A random texture in the colours ``ground``, a camera, and up to two passers-by."""
    amplitude = np.array([[0.03], [0.02], [0.03]]) * rng.uniform(0, 1) * rng.uniform(0.3, 1.0, (3, 3))
    frequency = np.tile(np.array([0.07, 0.23, 1.3]), (3, 1)) * rng.uniform(0.6, 1.5, (3, 3))
    amplitude *= np.array([1.5, 0.6, 0.12])
    camera = Camera(np.stack([amplitude, frequency, rng.random((3, 3))]))
    passers = tuple(_draw_passer(rng, ground) for _ in range(rng.integers(0, 3)))
    return Backdrop(_texture(rng, ground), camera, passers)


def _draw_passer(rng: np.random.Generator, ground: NDArray[np.float32]) -> Passer:
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.6)
    speed = rng.uniform(0, 0.06) * rng.standard_normal(2)
    return Passer(
        list(SHAPES)[rng.integers(len(SHAPES))],
        np.clip(ground[0] + rng.normal(0, 70, 3), 0, 255).astype(np.float32),
        rng.uniform(0.04, 0.1),
        (distance * np.cos(angle), distance * np.sin(angle)),
        (float(speed[0]), float(speed[1])),
    )


def _texture(rng: np.random.Generator, ground: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth noise of several scales, sometimes with stripes, through the colours of ``ground``."""
    roughness = rng.uniform(0.3, 0.8)
    height = sum(
        (roughness**octave) * _smooth_noise(rng, 3 * 2**octave) for octave in range(int(rng.integers(2, 6)))
    )
    if rng.random() < 0.4:
        y, x = np.mgrid[0:_TEXTURE, 0:_TEXTURE] / _TEXTURE
        angle = rng.uniform(0, np.pi)
        waves = np.sin(2 * np.pi * rng.uniform(3, 14) * (x * np.cos(angle) + y * np.sin(angle)))
        height = height + rng.uniform(0.2, 0.8) * waves
    height = np.asarray(height, dtype=np.float32)
    height = (height - height.min()) / max(1e-6, float(np.ptp(height))) * 2
    lower = np.minimum(height.astype(np.intp), 1)
    part = (height - lower)[..., None]
    painted: NDArray[np.float32] = ground[lower] * (1 - part) + ground[lower + 1] * part
    return painted


def _smooth_noise(rng: np.random.Generator, cells: int) -> NDArray[np.float64]:
    """Random values at ``cells + 1`` knots a side, linearly interpolated."""
    knots = rng.standard_normal((cells + 1, cells + 1))
    at = np.linspace(0, cells, _TEXTURE, endpoint=False)
    lower = at.astype(np.intp)
    part = at - lower
    rows = knots[lower] * (1 - part)[:, None] + knots[lower + 1] * part[:, None]
    return rows[:, lower] * (1 - part) + rows[:, lower + 1] * part


@dataclass(frozen=True)
class Room:
    """What is heard besides the event: reverberation, noise, a microphone; levels in dB."""

    reverberation: float
    wetness: float
    noise_slope: float
    noise_level: float
    hum: float
    gain: float
    response: NDArray[np.float64]

    def record(self, track: NDArray[np.float32], rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """A dry track as the microphone hears it: float32 of the same length, in [-1, 1]."""
        count = len(track)
        size = _fast_length(count + round(self.reverberation * rate))
        frequencies = np.fft.rfftfreq(size, 1 / rate)
        heard = np.fft.rfft(_level(track), size) * (1 + self.wetness * self._echo(rate, size, rng))
        noise = np.fft.rfft(rng.standard_normal(count), size)
        noise *= np.maximum(frequencies, 40.0) ** (-self.noise_slope / 2)
        noise *= 1 / np.sqrt((np.abs(noise) ** 2).mean() * 2 / size)
        mixed = np.fft.irfft(self._colour(frequencies) * (heard + _decibels(self.noise_level) * noise), size)
        mixed = mixed[:count] + _decibels(self.noise_level) * np.sin(2 * np.pi * self.hum * np.arange(count) / rate)
        peak = max(1e-6, float(np.abs(mixed).max()))
        return (mixed * (_decibels(self.gain) / peak)).astype(np.float32)

    def _echo(self, rate: int, size: int, rng: np.random.Generator) -> NDArray[np.complex128]:
        """Spectrum of an exponentially decaying tail of noise, of unit energy (Moorer, CMJ 1979)."""
        times = np.arange(max(1, round(self.reverberation * rate))) / rate
        tail = rng.standard_normal(len(times)) * np.exp(-6.9 * times / self.reverberation)
        return np.fft.rfft(tail / np.sqrt((tail**2).sum()), size)

    def _colour(self, frequencies: NDArray[np.floating]) -> NDArray[np.float64]:
        """The microphone's frequency response: random gains at octaves, linear between."""
        octaves = np.log2(np.maximum(frequencies, 50.0) / 50.0)
        gains: NDArray[np.float64] = 10 ** (np.interp(octaves, np.arange(len(self.response)), self.response) / 20)
        return gains


def draw_room(rng: np.random.Generator) -> Room:
    """From dry and quiet to reverberant and noisy."""
    return Room(
        reverberation=rng.uniform(0.1, 0.5),
        wetness=rng.uniform(0.0, 0.5),
        noise_slope=rng.uniform(0.0, 2.0),
        noise_level=rng.uniform(-34.0, -10.0),
        hum=rng.uniform(45.0, 130.0),
        gain=rng.uniform(-20.0, -1.0),
        response=rng.normal(0.0, 5.0, 9),
    )


def _level(track: NDArray[np.float32]) -> NDArray[np.float64]:
    """Loud parts of every voice are equally loud: the 95th percentile of its magnitude is 1 where it sounds."""
    sounding = np.abs(track[np.abs(track) > 1e-4])
    level = float(np.percentile(sounding, 95)) if len(sounding) else 1.0
    return track.astype(np.float64) / max(level, 1e-6)


def _decibels(level: float) -> float:
    return float(10.0 ** (level / 20))


def _fast_length(count: int) -> int:
    """The next length that a Fourier transform is fast at: 2, 3 or 5 times a power of two."""
    power = 1 << (count - 1).bit_length()
    return next(size for size in (power * 5 // 8, power * 3 // 4, power) if size >= count)
