"""What a teacher of one modality gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from avfeat.errors import AvfeatError


class TeacherOutput(NamedTuple):
    """What a teacher says of a batch.

    Attributes:
        features: float ``(n, dim)``.
        scores: of its classes, in [0, 1], ``(n, classes)``; None if it has no classes.
    """

    features: Tensor
    scores: Tensor | None = None


@dataclass(frozen=True)
class Lesson:
    """What there is to learn from a teacher.

    Attributes:
        dim: width of the features.
        classes: how many it tells apart; 0 for none.
        several: whether several classes may be true at once, as those of sounds are; else the scores of a window
            sum to 1.
    """

    dim: int
    classes: int = 0
    several: bool = False


class OneModality(Protocol):
    """A teacher of video, or of audio.

    Attributes:
        lesson: what it gives.
        facts: ``source``, the network or run; ``fingerprint`` of its weights; and where they come from.
    """

    lesson: Lesson
    facts: dict[str, Any]

    def __call__(self, x: Tensor) -> TeacherOutput:
        """Look at, or hear, the student's windows.

        Args:
            x: float32 frames ``(n, T, 3, height, width)`` in [0, 1], or the waveform ``(n, samples)``, both as the
                student gets them; a teacher resizes and resamples for itself.
        """


@contextmanager
def name_setting(setting: str) -> Iterator[None]:
    """Errors of the block begin with the setting that asked for what failed."""
    try:
        yield
    except AvfeatError as error:
        raise type(error)(f"{setting}: {error}") from error
