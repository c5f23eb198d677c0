"""Pretraining: ``train`` runs a recipe on a prepared cache and yields what happens.

``model`` holds encoders, heads and momentum encoder, ``trainer`` a step of them, ``train`` the loop around it;
``process`` is torchrun, ``journal`` the files, ``probe`` the accuracy on the way, ``watch`` the signs of trouble,
``resume`` what a training that goes on has to have in common with itself, ``start`` what a pair may begin with,
``teacher`` what it may learn from.
"""

from avfeat.training.trainer.events import (
    Cost,
    Event,
    MetricsLogged,
    StepDone,
    TrainingFinished,
    TrainingStarted,
    TrainingStopped,
    WarningIssued,
)
from avfeat.training.trainer.probe import Accuracy
from avfeat.training.trainer.process import Device
from avfeat.training.trainer.teacher import Teacher
from avfeat.training.trainer.train import train
from avfeat.training.trainer.watch import DivergedError

__all__ = [
    "Accuracy",
    "Cost",
    "Device",
    "DivergedError",
    "Event",
    "MetricsLogged",
    "StepDone",
    "Teacher",
    "TrainingFinished",
    "TrainingStarted",
    "TrainingStopped",
    "WarningIssued",
    "train",
]
