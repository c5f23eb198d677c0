"""How things move from beat to beat. The look of a thing says nothing of its class; its motion does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from avfeat.world.drawing import SHAPES, Canvas, Colour, Shape
from avfeat.world.rhythm import Moment

Motion = Literal["hop", "swing", "spin", "slide", "swell", "clap", "strike", "shiver", "orbit", "duo", "fall"]


@dataclass(frozen=True)
class Actor:
    """The thing that moves: its look and its place, drawn anew for every video, whatever its class.

    Lengths are in units of the picture's shorter side; ``(x, y)`` is where the motion is centred.

    Attributes:
        x: to the right of the picture's centre.
        y: below the picture's centre.
        radius: of the thing.
        reach: how far it moves from its centre.
        shape: its outline.
        colour: its colour.
        second: the colour of the spot on it, and of what surrounds it.
        turn: angle that it is turned by, in [-pi / 2, pi / 2].
        mirror: 1 or -1: motions have a left-handed and a right-handed form.
        anchor: a place that a line ties it to, or None.
        floor: a place that a line runs through, or None.
    """

    x: float
    y: float
    radius: float
    reach: float
    shape: Shape
    colour: Colour
    second: Colour
    turn: float
    mirror: float
    anchor: tuple[float, float] | None
    floor: tuple[float, float] | None

    def draw(self, canvas: Canvas, x: float, y: float, scale: float = 1.0, turn: float = 0.0) -> None:
        """Paint the thing around ``(x, y)`` with a spot of another colour on it."""
        radius, angle = self.radius * scale, self.turn + turn
        if self.anchor is not None:
            canvas.bar(self.anchor, (x, y), 0.015, self.second)
        canvas.paint(SHAPES[self.shape], x, y, radius, self.colour, angle)
        spot = 0.5 * radius
        canvas.paint(
            SHAPES["disc"], x + spot * math.cos(angle), y + spot * math.sin(angle), 0.45 * radius, self.second
        )

    def furnish(self, canvas: Canvas) -> None:
        """Paint what stands around."""
        if self.floor is not None:
            x, y = self.floor
            canvas.bar((x - 0.35, y), (x + 0.35, y), 0.02, self.second)


def _hop(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """Thrown up and falling back (``h = v t - g t**2 / 2``): at its lowest at every beat."""
    actor.draw(canvas, actor.x, actor.y + actor.reach - _flight(actor, now))


def _flight(actor: Actor, now: Moment) -> float:
    """Height of a flight that lasts one interval; long flights are high ones."""
    height = 1.9 * actor.reach * min(1.0, (now.interval / 0.6) ** 2)
    return 4 * height * now.part * (1 - now.part)


def _swing(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """To and fro on an arc, as a pendulum: it turns back at every beat."""
    angle = 0.95 * math.cos(math.pi * (now.beat + now.part)) * actor.mirror
    length = 1.5 * actor.reach
    actor.draw(canvas, actor.x + length * math.sin(angle), actor.y - 0.6 * actor.reach + length * math.cos(angle))


def _spin(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """It turns about its middle, once a beat."""
    actor.draw(canvas, actor.x, actor.y, scale=1.7, turn=actor.mirror * 2 * math.pi * (now.beat + now.part))


def _slide(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """Stick and slip on a line: at every beat it darts to the other end and stays there."""
    way = _smooth(min(1.0, now.part / 0.35)) if math.isfinite(now.since) else 0.0
    place = (1 if now.beat % 2 == 0 else -1) * (1 - 2 * way) * actor.mirror * actor.reach
    actor.draw(canvas, actor.x + place * math.cos(0.5 * actor.turn), actor.y + place * math.sin(0.5 * actor.turn))


def _swell(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """It grows and shrinks: largest at every beat."""
    actor.draw(canvas, actor.x, actor.y, scale=1.5 + 0.8 * math.cos(2 * math.pi * now.part))


def _clap(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """Two things that meet at every beat and part between."""
    apart = 0.9 * actor.radius + actor.reach * math.sin(math.pi * now.part)
    dx, dy = math.cos(0.7 * actor.turn), math.sin(0.7 * actor.turn)
    for side in (-1, 1):
        actor.draw(canvas, actor.x + side * apart * dx, actor.y + side * apart * dy)


def _strike(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """Lifted slowly on an arc and brought down fast: down at every beat."""
    lifted = _smooth(min(1.0, now.part / 0.75)) * (1 - max(0.0, (now.part - 0.8) / 0.2) ** 2)
    angle = 1.3 * lifted
    length = 1.8 * actor.reach
    x = actor.x + actor.mirror * (length * math.cos(angle) - actor.reach)
    actor.draw(canvas, x, actor.y + actor.reach - length * math.sin(angle), turn=-actor.mirror * angle)


def _shiver(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """Plucked at every beat: it trembles across and comes to rest."""
    bend = 0.0
    if math.isfinite(now.since):
        bend = 0.8 * actor.reach * math.exp(-now.since / 0.3) * math.cos(2 * math.pi * 3.2 * now.since)
    dx, dy = math.cos(actor.turn), math.sin(actor.turn)
    actor.draw(canvas, actor.x + bend * actor.mirror * dx, actor.y + bend * actor.mirror * dy)


def _orbit(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """Round and round on a circle: on top at every beat."""
    angle = actor.mirror * 2 * math.pi * now.part - math.pi / 2
    actor.draw(canvas, actor.x + actor.reach * math.cos(angle), actor.y + actor.reach * math.sin(angle))


def _duo(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """Two things that hop in turn."""
    for number, side in enumerate((-1, 1)):
        height = _flight(actor, now) if now.beat % 2 == number else 0.0
        actor.draw(canvas, actor.x + side * actor.mirror * 1.6 * actor.radius, actor.y + actor.reach - height)


def _fall(actor: Actor, canvas: Canvas, now: Moment) -> None:
    """It falls (``h = g t**2 / 2``), and at every beat it is back above."""
    actor.draw(canvas, actor.x, actor.y - actor.reach + 2 * actor.reach * now.part**2)


def _smooth(part: float) -> float:
    return part * part * (3 - 2 * part)


MOTIONS: dict[Motion, Callable[[Actor, Canvas, Moment], None]] = {
    "hop": _hop,
    "swing": _swing,
    "spin": _spin,
    "slide": _slide,
    "swell": _swell,
    "clap": _clap,
    "strike": _strike,
    "shiver": _shiver,
    "orbit": _orbit,
    "duo": _duo,
    "fall": _fall,
}


def draw_actor(rng: np.random.Generator, colour: Colour, second: Colour) -> Actor:
    """A thing of random look and place."""
    x, y = rng.uniform(-0.15, 0.15), rng.uniform(-0.12, 0.12)
    anchor = (x + rng.uniform(-0.4, 0.4), y + rng.uniform(-0.45, 0.45)) if rng.random() < 0.3 else None
    floor = (x + rng.uniform(-0.1, 0.1), y + rng.uniform(0.2, 0.4)) if rng.random() < 0.4 else None
    return Actor(
        x=x,
        y=y,
        radius=rng.uniform(0.08, 0.13),
        reach=rng.uniform(0.2, 0.3),
        shape=list(SHAPES)[rng.integers(len(SHAPES))],
        colour=colour,
        second=second,
        turn=rng.uniform(-math.pi, math.pi) / 2,
        mirror=float(rng.choice((-1.0, 1.0))),
        anchor=anchor,
        floor=floor,
    )
