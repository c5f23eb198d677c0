"""What a training says while it goes on; whoever runs it prints that, or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avfeat.training.trainer.probe import Accuracy


@dataclass(frozen=True)
class Cost:
    """What a training takes, as far as is known before it starts.

    Attributes:
        parameters: learned numbers of the encoders by modality, and of the ``heads`` that are dropped afterwards.
        steps: of the optimizer, those that are still to be done.
        batch_size: clips of a step.
        clips: of the data, those that take part.
        epochs: how often each of them is seen.
        seconds: estimated from 2 steps on random numbers, without the time that probes take.
        device: where.
        processes: how many.
    """

    parameters: Mapping[str, int]
    steps: int
    batch_size: int
    clips: int
    epochs: float
    seconds: float
    device: str
    processes: int


@dataclass(frozen=True)
class TrainingStarted:
    """Everything is loaded and checked; training begins, or goes on, after ``step``."""

    step: int
    cost: Cost
    random_init: Accuracy | None
    chance: float | None


@dataclass(frozen=True)
class MetricsLogged:
    """A line of ``metrics.jsonl``.

    Attributes:
        metrics: of the line.
        remaining: seconds to go.
    """

    metrics: Mapping[str, float]
    remaining: float


@dataclass(frozen=True)
class StepDone:
    """A step was done.

    Attributes:
        step: its number, from 1 on.
    """

    step: int


@dataclass(frozen=True)
class WarningIssued:
    """Something that people should know.

    Attributes:
        message: a sentence.
    """

    message: str


@dataclass(frozen=True)
class TrainingStopped:
    """A signal has asked to stop; the checkpoint is written, and ``--resume`` goes on from it.

    Attributes:
        step: the last one that was done.
        signal: its number.
        path: the checkpoint.
    """

    step: int
    signal: int
    path: Path


@dataclass(frozen=True)
class TrainingFinished:
    """All steps are done.

    Attributes:
        steps: of the whole training.
        seconds: that they took, in all starts of the run together.
        accuracy: of nearest neighbours at the end; None without labelled clips.
        random_init: the same before training.
        clips_per_second: in this start; 0 if the run was up to date.
        memory: most memory that was taken, in bytes: of the GPU, or of this process.
        path: the checkpoint.
    """

    steps: int
    seconds: float
    accuracy: Accuracy | None
    random_init: Accuracy | None
    clips_per_second: float
    memory: int
    path: Path


Event = TrainingStarted | StepDone | MetricsLogged | WarningIssued | TrainingStopped | TrainingFinished
