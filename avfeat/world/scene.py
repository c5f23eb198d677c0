"""One synthetic video as a function of time: pictures at any instant and size, sound at any rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from avfeat.world.classes import BY_NAME, Category
from avfeat.world.motions import MOTIONS, Actor, draw_actor
from avfeat.world.places import Backdrop, Room, draw_backdrop, draw_palette, draw_room
from avfeat.world.plan import SECONDS, SyntheticVideo
from avfeat.world.rhythm import REST, Beats, beats
from avfeat.world.voices import VOICES, Singer, draw_gestures, draw_timbre


@dataclass(frozen=True)
class Scene:
    """A video's event and all that surrounds it; every random choice comes from the video's own key.

    Attributes:
        video: which video it is.
        category: its class.
        beats: when the event's motion has its beats.
        actor: the thing that moves.
        place: what else is seen.
        room: what else is heard.
        lasting: whether the thing is there before and after its event, at rest.
    """

    video: SyntheticVideo
    category: Category
    beats: Beats
    actor: Actor
    place: Backdrop
    room: Room
    lasting: bool

    @classmethod
    def from_video(cls, video: SyntheticVideo) -> Scene:
        """Draw the scene of ``video``."""
        category = BY_NAME[video.category]
        rng = video.generator("scene")
        ground, colour, second = draw_palette(rng)
        return cls(
            video,
            category,
            beats(category.rhythm, video.start, video.end, video.generator("beats")),
            draw_actor(rng, colour, second),
            draw_backdrop(rng, ground),
            draw_room(rng),
            bool(rng.random() < 0.5),
        )

    def picture(self, time: float, width: int, height: int) -> NDArray[np.uint8]:
        """What is seen at ``time`` seconds: uint8 ``(height, width, 3)`` RGB."""
        canvas = self.place.canvas(time, width, height)
        self.actor.furnish(canvas)
        now = self.beats.at(time) if self.video.start <= time < self.video.end else REST
        if now is not REST or self.lasting:
            MOTIONS[self.category.motion](self.actor, canvas, now)
        return np.clip(canvas.pixels, 0, 255).astype(np.uint8)

    def sound(self, rate: int) -> NDArray[np.float32]:
        """What is heard: float32 ``(SECONDS * rate,)`` mono in [-1, 1] at ``rate`` Hz."""
        rng = self.video.generator("sound")
        gestures, timbre = draw_gestures(rng), draw_timbre(rng)
        singer = Singer(timbre, gestures, rate, SECONDS * rate, rng)
        VOICES[self.category.voice](singer, self.heard)
        self._bound(singer.track, rate)
        strangers = self._strangers(rate, rng)
        peak = max(1e-6, float(np.abs(singer.track).max()))
        return self.room.record(singer.track / np.float32(peak) + strangers, rate, rng)

    @cached_property
    def heard(self) -> Beats:
        """The beats of the sound."""
        return self.beats if self.category.coupling == "together" else self.beats.delay(0.5)

    def _bound(self, track: NDArray[np.float32], rate: int) -> None:
        """Fade the event in at its start and out at its end, within 50 ms."""
        count = round(0.05 * rate)
        slope = np.linspace(0, 1, count, dtype=np.float32)
        track[: self.video.start * rate] = 0
        track[self.video.start * rate :][:count] *= slope
        rest = track[self.video.end * rate :]
        rest[:count] *= slope[::-1][: len(rest[:count])]
        rest[count:] = 0

    def _strangers(self, rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Up to two sounds that have nothing to do with the event, anywhere in the video."""
        track = np.zeros(SECONDS * rate, dtype=np.float32)
        for _ in range(rng.integers(0, 3)):
            begin, length = rng.uniform(0, SECONDS - 1), rng.uniform(0.2, 0.8)
            singer = Singer(draw_timbre(rng), draw_gestures(rng), rate, SECONDS * rate, rng)
            first, times = singer.times(begin, begin + length)
            singer.sing(first, np.zeros(len(times)), np.sin(np.pi * (times - begin) / length) ** 2)
            track += np.float32(rng.uniform(0.05, 0.3) / max(1e-6, np.abs(singer.track).max())) * singer.track
        return track
