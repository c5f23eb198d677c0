"""The objectives by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.objectives.barlow_twins import BarlowTwins
from avfeat.training.objectives.byol import BYOL
from avfeat.training.objectives.moco_v3 import MoCoV3
from avfeat.training.objectives.objective import Objective
from avfeat.training.objectives.pairs import Pairs
from avfeat.training.objectives.simclr import SimCLR
from avfeat.training.objectives.simsiam import SimSiam
from avfeat.training.objectives.vicreg import VICReg
from avfeat.training.schema import build

OBJECTIVES: dict[str, type[Objective[Any]]] = {
    "simclr": SimCLR,
    "moco_v3": MoCoV3,
    "simsiam": SimSiam,
    "byol": BYOL,
    "barlow_twins": BarlowTwins,
    "vicreg": VICReg,
}


def objective_type(name: str) -> type[Objective[Any]]:
    """The class of an objective.

    Raises:
        ArgumentError: a name that is not there; the message suggests one that is.
    """
    if name in OBJECTIVES:
        return OBJECTIVES[name]
    raise ArgumentError(f"There is no objective {name!r}; {suggestion(name, OBJECTIVES)}")


def build_objective(
    name: str,
    dims: Mapping[Modality, int],
    settings: Mapping[str, Any] | None = None,
    pairs: Pairs | None = None,
    views: int = 2,
) -> Objective[Any]:
    """An objective with fresh heads.

    Args:
        name: in ``OBJECTIVES``.
        dims: width of each modality's features.
        settings: those of its ``settings_type`` that differ from the defaults.
        pairs: what is compared; None for the default weights.
        views: of each clip.

    Raises:
        ArgumentError: an unknown name, or settings that it cannot have.
    """
    kind = objective_type(name)
    return kind(build(kind.settings_type, settings or {}, name), dims, pairs, views)
