"""Which views of a clip are compared, and how much each comparison counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import combinations, permutations
from typing import Literal, cast

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.schema import Weight, settings

Kind = Literal["video_video", "audio_audio", "video_audio", "video_audio_across"]


@settings
class Pairs:
    """Weights of the four kinds of pairs; CrissCross (arXiv 2111.05329, section 3.2) is the instance with all four.

    Attributes:
        video_video: the video of two views.
        audio_audio: the audio of two views.
        video_audio: video and audio of one view.
        video_audio_across: the video of one view and the audio of another.

    Raises:
        ArgumentError: a weight below 0, or all of them 0.
    """

    video_video: Weight = 1.0
    audio_audio: Weight = 1.0
    video_audio: Weight = 1.0
    video_audio_across: Weight = 0.0

    def __post_init__(self) -> None:
        if not any(asdict(self).values()):
            raise ArgumentError("All kinds of pairs have weight 0; one of them must count.")


@dataclass(frozen=True)
class Side:
    """One modality of one view.

    Attributes:
        modality: which.
        view: its number, from 0 on.
    """

    modality: Modality
    view: int


@dataclass(frozen=True)
class Term:
    """Two sides that are compared.

    Attributes:
        kind: of the pair.
        first: one side.
        second: the other.
        weight: of the comparison, as a part of the whole loss.
    """

    kind: Kind
    first: Side
    second: Side
    weight: float


def terms(pairs: Pairs, views: int) -> tuple[Term, ...]:
    """All comparisons among ``views`` views; their weights sum to 1, those of a kind are equal.

    Raises:
        ArgumentError: a kind that counts needs two views, and there is one.
    """
    weights = cast("dict[Kind, float]", asdict(pairs))
    whole = math.fsum(weights.values())
    found: list[Term] = []
    for kind, weight in weights.items():
        sides = list(_sides(kind, views)) if weight else []
        if weight and not sides:
            raise ArgumentError(f"{kind} compares two views, and there is {views}: take 2, or give it weight 0.")
        found += [Term(kind, first, second, weight / whole / len(sides)) for first, second in sides]
    return tuple(found)


def _sides(kind: Kind, views: int) -> Iterator[tuple[Side, Side]]:
    match kind:
        case "video_video":
            places = [(Side("video", one), Side("video", other)) for one, other in combinations(range(views), 2)]
        case "audio_audio":
            places = [(Side("audio", one), Side("audio", other)) for one, other in combinations(range(views), 2)]
        case "video_audio":
            places = [(Side("video", view), Side("audio", view)) for view in range(views)]
        case "video_audio_across":
            places = [(Side("video", one), Side("audio", other)) for one, other in permutations(range(views), 2)]
    yield from places
