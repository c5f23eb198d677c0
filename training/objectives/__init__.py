"""What training minimises: six objectives, each over any weighted set of pairs of views.

An ``Objective`` takes the features of all views, puts them through heads of its own and compares them in pairs
(``pairs``); samples without a stream count in no pair that needs it. A new one is one file and one line in
``registry``. ``momentum`` has the slowly moving encoder that some compare with, ``health`` the signs of collapse.
"""

from avfeat.training.objectives.health import alignment, embedding_std, uniformity
from avfeat.training.objectives.momentum import MomentumCopy, momentum_at
from avfeat.training.objectives.objective import Features, Losses, Objective
from avfeat.training.objectives.pairs import Kind, Pairs
from avfeat.training.objectives.registry import OBJECTIVES, build_objective, objective_type
from avfeat.training.objectives.settings import HeadSettings, MomentumSettings

__all__ = [
    "OBJECTIVES",
    "Features",
    "HeadSettings",
    "Kind",
    "Losses",
    "MomentumCopy",
    "MomentumSettings",
    "Objective",
    "Pairs",
    "alignment",
    "build_objective",
    "embedding_std",
    "momentum_at",
    "objective_type",
    "uniformity",
]
