"""What all objectives' settings share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from avfeat.training.schema import Count, Share, settings

Width = Annotated[int, Field(ge=2)]
"""Of embeddings: covariances are between two dimensions."""


@settings
class HeadSettings:
    """Widths of an objective's heads.

    Attributes:
        hidden: width of the projector's hidden layers.
        out: width of the embeddings that the loss compares.

    Raises:
        ArgumentError: settings out of range.
    """

    hidden: Count = 2048
    out: Width = 2048


@settings
class MomentumSettings(HeadSettings):
    """Of an objective whose targets come from a momentum encoder.

    Attributes:
        hidden: width of the hidden layers of projector and predictor.
        base_momentum: at the beginning of the training (``momentum.momentum_at``).
    """

    hidden: Count = 4096
    out: Width = 256
    base_momentum: Share = 0.99
