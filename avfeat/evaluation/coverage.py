"""How much of a data set a result was evaluated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avfeat.embedding import Failure


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much of a data set a result was evaluated on.

    Attributes:
        dataset: name of the data set.
        protocol: name of the protocol.
        missing: files without an embedding, and why.
        damaged: files of which a part was embedded, and what is wrong with them.
        annotated: items that the data set lists for it.
        used: items that were evaluated on.
        seconds: time taken, by part of the work.
    """

    dataset: str
    protocol: str
    missing: Mapping[Path, Failure]
    damaged: Mapping[Path, str]
    annotated: int
    used: int
    seconds: Mapping[str, float]
