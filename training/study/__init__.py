"""The augmentation study: a grid of small pretrainings, each probed, drawn and held against the paper.

``plan`` is the schema and ``load`` reads it; ``grid`` makes cells and runs of it, ``material`` is the data.
``execute`` does one run (``features``, ``measure``), ``worker_pool`` several at a time, ``budget`` says how long
they take, ``results`` is what they leave. ``study`` is the loop. ``statistics``, ``summary`` and ``verdicts``
read the results; ``tables``, ``page`` and ``figures`` show them. Needs the extras ``train`` and ``eval``.
"""

from avfeat.training.study.load import list_plans, load_plan
from avfeat.training.study.study import Options, Study

__all__ = ["Options", "Study", "list_plans", "load_plan"]
