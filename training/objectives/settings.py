"""What all objectives' settings share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from avfeat.errors import ArgumentError


@dataclass(frozen=True)
class HeadSettings:
    """Widths of an objective's heads.

    Attributes:
        hidden: width of the projector's hidden layers.
        out: width of the embeddings that the loss compares.

    Raises:
        ArgumentError: settings out of range.
    """

    hidden: int = 2048
    out: int = 2048

    def __post_init__(self) -> None:
        self._need(self.hidden >= 1, "hidden", "a width from 1 on")
        # Covariances are between two dimensions.
        self._need(self.out >= 2, "out", "a width from 2 on")

    def _need(self, right: bool, name: str, what: str) -> None:
        """Refuse a setting that is out of range."""
        if not right:
            raise ArgumentError(f"{name} must be {what}, not {getattr(self, name)!r}.")

    def _need_positive(self, name: str) -> None:
        self._need(0 < getattr(self, name) < math.inf, name, "above 0")

    def _need_weight(self, name: str) -> None:
        self._need(0 <= getattr(self, name) < math.inf, name, "from 0 on")


@dataclass(frozen=True)
class MomentumSettings(HeadSettings):
    """Of an objective whose targets come from a momentum encoder.

    Attributes:
        hidden: width of the hidden layers of projector and predictor.
        base_momentum: at the beginning of the training (``momentum.momentum_at``).
    """

    hidden: int = 4096
    out: int = 256
    base_momentum: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need(0 <= self.base_momentum <= 1, "base_momentum", "from 0 to 1")
