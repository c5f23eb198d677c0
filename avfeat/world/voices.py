"""How things sound from beat to beat. Timbre and pitch say nothing of the class; gestures in time do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avfeat.world.rhythm import Beats

Voice = Literal["hit", "double", "crackle", "swoosh", "rise", "fall", "trill", "siren"]
Wave = NDArray[np.float32]
Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Timbre:
    """What a sound is made of: partials at ``ratios`` of a pitch in Hz, pure tones or bands of noise.

    ``breath``: bandwidth of each partial in Hz, 0 for pure tones.
    """

    pitch: float
    ratios: tuple[float, ...]
    gains: tuple[float, ...]
    breath: float


@dataclass(frozen=True)
class Gestures:
    """The free parameters of a video's gestures, whatever its voice."""

    decay: float
    octaves: float
    length: float
    flutter: float
    echo: float
    grains: int


def draw_timbre(rng: np.random.Generator) -> Timbre:
    """A voiced, a struck or a noisy timbre at a random pitch."""
    kind = rng.integers(3)
    count = int(rng.integers(3, 7))
    if kind == 1:
        ratios = (1.0, *np.cumprod(rng.uniform(1.25, 2.0, count - 1)))
    else:
        ratios = tuple(np.arange(1.0, count + 1))
    gains = np.arange(1.0, count + 1) ** -rng.uniform(0.2, 1.5)
    pitch = float(np.exp(rng.uniform(np.log(160.0), np.log(1000.0))))
    breath = float(rng.uniform(80.0, 500.0)) if kind == 2 else 0.0
    return Timbre(pitch, tuple(map(float, ratios)), tuple(map(float, gains)), breath)


def draw_gestures(rng: np.random.Generator) -> Gestures:
    """Decay, interval, length and density of gestures, within what a voice still is."""
    return Gestures(
        decay=rng.uniform(0.05, 0.14),
        octaves=rng.uniform(0.9, 1.6),
        length=rng.uniform(0.26, 0.4),
        flutter=rng.uniform(13.0, 21.0),
        echo=rng.uniform(0.11, 0.15),
        grains=int(rng.integers(7, 13)),
    )


class Singer:
    """Writes gestures of one timbre onto a silent track."""

    def __init__(
        self, timbre: Timbre, gestures: Gestures, rate: int, samples: int, rng: np.random.Generator
    ) -> None:
        """Begin with ``samples`` zeros at ``rate`` Hz."""
        self.track = np.zeros(samples, dtype=np.float32)
        self.gestures = gestures
        self.rate = rate
        self.rng = rng
        self._timbre = timbre

    def times(self, begin: float, end: float) -> tuple[int, Curve]:
        """The first sample at or after ``begin``, and the time of each sample up to ``end`` seconds."""
        first = max(0, round(begin * self.rate))
        last = min(len(self.track), round(end * self.rate))
        return first, np.arange(first, max(first, last)) / self.rate

    def sing(self, first: int, octave: Curve, envelope: Curve) -> None:
        """Add a gesture from sample ``first`` on: ``octave`` above the pitch, times ``envelope``, per sample."""
        if not len(envelope):
            return
        frequency = self._timbre.pitch * 2.0**octave
        turns = np.cumsum(frequency) / self.rate
        sound = np.zeros(len(envelope))
        for ratio, gain in zip(self._timbre.ratios, self._timbre.gains, strict=True):
            if ratio * frequency.max() > 0.45 * self.rate:
                break
            partial = np.cos(2 * np.pi * (ratio * turns + self.rng.random()))
            if self._timbre.breath:
                partial *= self._noise(len(envelope))
            sound += gain * partial
        self.track[first : first + len(envelope)] += (sound * envelope).astype(np.float32)

    def _noise(self, count: int) -> Curve:
        """Noise of the breath's bandwidth and about unit power: random values, linearly interpolated."""
        step = self.rate / self._timbre.breath
        knots = self.rng.standard_normal(int(count / step) + 3)
        noise: Curve = 1.2 * np.interp(np.arange(count) / step, np.arange(len(knots)), knots)
        return noise


def _attack(since: Curve) -> Curve:
    """Two milliseconds of fading in, so that nothing clicks that should not."""
    return np.clip(since / 0.002, 0, 1)


def _strike(singer: Singer, begin: float, strength: float, decay: float) -> None:
    first, times = singer.times(begin, begin + 7 * decay)
    since = np.maximum(times - begin, 0.0)
    singer.sing(first, np.zeros(len(times)), strength * _attack(since) * np.exp(-since / decay))


def _hit(singer: Singer, beats: Beats) -> None:
    """A blow at every beat that dies away."""
    for begin in beats.times[:-1]:
        _strike(singer, begin, 1.0, singer.gestures.decay)


def _double(singer: Singer, beats: Beats) -> None:
    """Two blows close together at every beat."""
    for begin in beats.times[:-1]:
        _strike(singer, begin, 1.0, 0.5 * singer.gestures.decay)
        _strike(singer, begin + singer.gestures.echo, 0.8, 0.5 * singer.gestures.decay)


def _crackle(singer: Singer, beats: Beats) -> None:
    """A scatter of tiny blows after every beat."""
    for begin, end in zip(beats.times, beats.times[1:], strict=False):
        for offset in singer.rng.random(singer.gestures.grains) ** 1.5:
            strength = singer.rng.uniform(0.4, 1.0)
            _strike(singer, begin + 0.6 * min(0.7, end - begin) * offset, strength, 0.008)


def _swoosh(singer: Singer, beats: Beats) -> None:
    """It swells towards every beat and breaks off there."""
    for begin, end in zip(beats.times, beats.times[1:], strict=False):
        begin = max(begin, end - 0.6)
        first, times = singer.times(begin, end)
        part = np.clip((times - begin) / (end - begin), 0, 1)
        singer.sing(first, np.zeros(len(times)), part**2.5 * np.clip((end - times) / 0.004, 0, 1))


def _glide(singer: Singer, beats: Beats, sign: float) -> None:
    for begin, end in zip(beats.times, beats.times[1:], strict=False):
        length = min(singer.gestures.length, 0.85 * (end - begin))
        first, times = singer.times(begin, begin + length)
        part = (times - begin) / length
        octave = sign * singer.gestures.octaves * (part - 0.5)
        singer.sing(first, octave, np.clip(np.sin(np.pi * np.clip(part, 0, 1)), 0, 1) ** 0.6)


def _rise(singer: Singer, beats: Beats) -> None:
    """From every beat on, the pitch goes up."""
    _glide(singer, beats, 1.0)


def _fall(singer: Singer, beats: Beats) -> None:
    """From every beat on, the pitch goes down."""
    _glide(singer, beats, -1.0)


def _trill(singer: Singer, beats: Beats) -> None:
    """A burst of fast pulses from every beat on."""
    for begin, end in zip(beats.times, beats.times[1:], strict=False):
        length = min(1.3 * singer.gestures.length, 0.85 * (end - begin))
        first, times = singer.times(begin, begin + length)
        pulse = 0.5 + 0.5 * np.cos(2 * np.pi * singer.gestures.flutter * (times - begin))
        edge = np.clip(np.minimum(times - begin, begin + length - times) / 0.01, 0, 1)
        singer.sing(first, np.zeros(len(times)), pulse**1.5 * edge)


def _siren(singer: Singer, beats: Beats) -> None:
    """It never stops: the pitch is highest at every beat and lowest between."""
    first, times = singer.times(beats.times[0], beats.times[-1])
    octave = 0.5 * singer.gestures.octaves * np.cos(2 * np.pi * beats.phase(times))
    edge = np.clip(np.minimum(times - beats.times[0], beats.times[-1] - times) / 0.05, 0, 1)
    singer.sing(first, octave, 0.7 * edge)


VOICES: dict[Voice, Callable[[Singer, Beats], None]] = {
    "hit": _hit,
    "double": _double,
    "crackle": _crackle,
    "swoosh": _swoosh,
    "rise": _rise,
    "fall": _fall,
    "trill": _trill,
    "siren": _siren,
}
