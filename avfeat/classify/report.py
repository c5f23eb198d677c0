"""What cross-validation found of a classifier, as it is used: each file by the probe of what it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.classify.calibration import calibration_error, log_loss, softmax
from avfeat.classify.choice import choose, preferred
from avfeat.classify.groups import groups_by_class
from avfeat.classify.held_out import Said
from avfeat.embedding import Failure
from avfeat.evaluation.classification import ClassificationResult
from avfeat.evaluation.dataset import Dataset
from avfeat.evaluation.features import Features
from avfeat.evaluation.interval import bootstrap
from avfeat.evaluation.logistic import Labels, Matrix
from avfeat.evaluation.probe import GRID, best_c
from avfeat.evaluation.probing import Score


@dataclass(frozen=True)
class FittedClassifier:
    """A classifier that was written, and what it reached on groups that it was not fitted on.

    Attributes:
        path: of its file.
        labels: the classes.
        accuracy: in [0, 1], mean over the folds; each file by the probe of what it has.
        interval: its 95 % bootstrap interval over groups.
        recall: for each class, the share that is found.
        confusion: int64 ``(classes, classes)``: files of a class (down) that were taken for one (across).
        counts: ``files``, ``groups``, ``folds``, and ``left_out``: files that no probe can speak of.
        files: how many there are of each class.
        groups: how many of them, by class.
        used: how many files were classified by ``av``, ``video`` and ``audio``.
        calibration_error: expected calibration error of the probabilities, and of those before calibration.
        log_loss: mean minus log probability of what files are, and that before calibration.
        temperature: by probe, for files.
        c: by probe, the C that was chosen.
        measured: the classification of the model and of baselines, a modality at a time.
    """

    path: Path
    labels: tuple[str, ...]
    accuracy: float
    interval: tuple[float, float]
    recall: Mapping[str, float]
    confusion: NDArray[np.int64]
    counts: Mapping[str, int]
    files: Mapping[str, int]
    groups: Mapping[str, int]
    used: Mapping[str, int]
    calibration_error: tuple[float, float]
    log_loss: tuple[float, float]
    temperature: Mapping[str, float]
    c: Mapping[str, float]
    measured: ClassificationResult

    @property
    def missing(self) -> Mapping[Path, Failure]:
        """Files without an embedding, and why; they were not fitted."""
        return self.measured.missing

    def figures(self) -> dict[str, Any]:
        """What the file says of how good it is."""
        return {
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "majority": self.measured.majority,
            "chance": self.measured.chance,
            "calibration_error": self.calibration_error[0],
            "log_loss": self.log_loss[0],
            "uncalibrated": {"calibration_error": self.calibration_error[1], "log_loss": self.log_loss[1]},
            "temperature": dict(self.temperature),
            "C": dict(self.c),
            "counts": dict(self.counts),
            "used": dict(self.used),
            "per_class": {
                name: {"files": self.files[name], "groups": self.groups[name], "recall": self.recall[name]}
                for name in self.labels
            },
        }


@dataclass(frozen=True)
class Answers:
    """What is said of each file by the probe of what it has, none fitted on its group.

    Attributes:
        items: int64 ``(n,)``, places in the data set.
        labels: int64 ``(n,)``, what they are.
        predicted: int64 ``(n,)``, what they were taken for, with a C that was chosen without their fold.
        folds: int64 ``(n,)``.
        probes: of each, the probe.
        calibrated: float64 ``(n, classes)``, probabilities with the classifier's C, calibrated without their fold.
        raw: float64 ``(n, classes)``, those before.
    """

    items: NDArray[np.int64]
    labels: Labels
    predicted: Labels
    folds: NDArray[np.int64]
    probes: tuple[str, ...]
    calibrated: Matrix
    raw: Matrix

    def accuracy(self, dataset: Dataset) -> tuple[float, tuple[float, float]]:
        """The mean over the folds, and its 95 % interval over groups."""
        weights = 1 / np.bincount(self.folds)[self.folds]
        right = self.predicted == self.labels
        groups = [dataset.items[place].group for place in self.items]
        return float(weights @ right / weights.sum()), bootstrap(right, groups, weights)

    def confusion(self, classes: int) -> NDArray[np.int64]:
        """Files of a class (down) that were taken for one (across)."""
        found = np.zeros((classes, classes), np.int64)
        np.add.at(found, (self.labels, self.predicted), 1)
        return found


def answers(
    dataset: Dataset, features: Mapping[Path, Features], scores: Mapping[str, Score], said: Mapping[str, Said]
) -> Answers:
    """Choose for each item the probe that speaks of it, by what was best without its fold."""
    rows = {name: {int(item): row for row, item in enumerate(one.items)} for name, one in said.items()}
    number = {label: index for index, label in enumerate(dataset.classes)}
    taken = {
        name: {place: number[row[0]] for place, row in zip(score.tested, score.predicted, strict=True)}
        for name, score in scores.items()
    }
    calibrated = {name: one.probabilities() for name, one in said.items()}
    orders = [preferred(_validations(scores, fold.name), len(fold.train)) for fold in dataset.folds]
    order_of = {place: order for fold, order in zip(dataset.folds, orders, strict=True) for place in fold.test}
    picked: list[tuple[int, str, int]] = []
    for place, item in enumerate(dataset.items):
        found = features.get(item.file)
        name = None if found is None else choose(found.has_video, found.has_audio, order_of[place])
        if name is not None:
            picked.append((place, name, rows[name][place]))
    return Answers(
        items=np.array([place for place, _, _ in picked], np.int64),
        labels=np.array([said[name].labels[row] for _, name, row in picked], np.int64),
        predicted=np.array([taken[name][place] for place, name, _ in picked], np.int64),
        folds=np.array([said[name].folds[row] for _, name, row in picked], np.int64),
        probes=tuple(name for _, name, _ in picked),
        calibrated=np.stack([calibrated[name][row] for _, name, row in picked]),
        raw=softmax(np.stack([said[name].logits[row] for _, name, row in picked])),
    )


def _validations(scores: Mapping[str, Score], fold: str) -> dict[str, float]:
    """What each probe has reached without the fold that is tested."""
    return {name: max(score.probed[fold].validation.values()) for name, score in scores.items()}


def preference(scores: Mapping[str, Score]) -> tuple[str, ...]:
    """The probes in the order in which they are to speak, by the mean of what they reach over the folds."""
    folds = next(iter(scores.values())).probed
    each = [_validations(scores, fold) for fold in folds]
    count = max(len(score.tested) for score in scores.values())
    return preferred({name: float(np.mean([one[name] for one in each])) for name in scores}, count)


def chosen_c(score: Score) -> float:
    """The C of the best mean validation accuracy over the folds."""
    return best_c({c: float(np.mean([one.validation[c] for one in score.probed.values()])) for c in GRID})


def summary(
    path: Path,
    dataset: Dataset,
    measured: ClassificationResult,
    features: Mapping[Path, Features],
    said: Mapping[str, Said],
) -> FittedClassifier:
    """Put together what was found.

    Args:
        path: of the classifier's file.
        dataset: as it was cross-validated.
        measured: a modality at a time, and baselines.
        features: of the files that have an embedding.
        said: of files, by probe.
    """
    scores = measured.entries[0].scores
    found = answers(dataset, features, scores, said)
    accuracy, interval = found.accuracy(dataset)
    confusion = found.confusion(len(dataset.classes))
    there = [item for item in dataset.items if item.file in features]
    groups = groups_by_class(there)
    totals = confusion.sum(axis=1)
    recall = np.divide(confusion.diagonal(), totals, out=np.zeros(len(totals)), where=totals > 0)
    return FittedClassifier(
        path=path,
        labels=dataset.classes,
        accuracy=accuracy,
        interval=interval,
        recall=dict(zip(dataset.classes, recall.tolist(), strict=True)),
        confusion=confusion,
        counts={
            "files": len(there),
            "groups": len({item.group for item in there}),
            "folds": len(dataset.folds),
            "left_out": len(there) - len(found.items),
        },
        files={name: sum(item.label == name for item in there) for name in dataset.classes},
        groups={name: len(groups.get(name, ())) for name in dataset.classes},
        used={name: found.probes.count(name) for name in said},
        calibration_error=(
            calibration_error(found.calibrated, found.labels),
            calibration_error(found.raw, found.labels),
        ),
        log_loss=(log_loss(found.calibrated, found.labels), log_loss(found.raw, found.labels)),
        temperature={name: one.temperature() for name, one in said.items()},
        c={name: chosen_c(scores[name]) for name in said},
        measured=measured,
    )
