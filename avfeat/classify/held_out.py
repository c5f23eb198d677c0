"""What cross-validated probes say of the items that they were not fitted on, as files and over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfeat.classify.calibration import calibration_error, fit_temperature, held_out_probabilities, softmax
from avfeat.embedding import Embedding, FloatRows
from avfeat.evaluation.dataset import Dataset
from avfeat.evaluation.features import Features, of_file
from avfeat.evaluation.logistic import Labels, Matrix
from avfeat.evaluation.probing import Score


@dataclass(frozen=True)
class Said:
    """Logits of rows that were not fitted.

    Attributes:
        items: int64 ``(n,)``, places in the data set.
        labels: int64 ``(n,)``, what the rows are.
        folds: int64 ``(n,)``, in which they were tested.
        weights: float64 ``(n,)``; those of an item are 1 together.
        logits: float64 ``(n, classes)``.
    """

    items: NDArray[np.int64]
    labels: Labels
    folds: NDArray[np.int64]
    weights: Matrix
    logits: Matrix

    def temperature(self) -> float:
        """Fitted on all of them."""
        return fit_temperature(self.logits, self.labels, self.weights)

    def probabilities(self) -> Matrix:
        """Calibrated without their own fold."""
        return held_out_probabilities(self.logits, self.labels, self.folds, self.weights)

    def errors(self) -> tuple[float, float]:
        """Expected calibration error before, and after calibration without their own fold."""
        raw = calibration_error(softmax(self.logits), self.labels, self.weights)
        return raw, calibration_error(self.probabilities(), self.labels, self.weights)


@dataclass
class _Rows:
    items: list[int] = field(default_factory=list)
    folds: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    logits: list[Matrix] = field(default_factory=list)

    def add(self, item: int, fold: int, logits: Matrix) -> None:
        count = len(logits)
        self.items += [item] * count
        self.folds += [fold] * count
        self.weights += [1 / count] * count
        self.logits.append(logits)

    def said(self, labels: Labels) -> Said:
        items = np.array(self.items, np.int64)
        folds, weights = np.array(self.folds, np.int64), np.array(self.weights)
        return Said(items, labels[items], folds, weights, np.concatenate(self.logits))


def hold_out(
    dataset: Dataset, scores: Mapping[str, Score], embeddings: Iterable[tuple[Path, Embedding]]
) -> tuple[dict[Path, Features], dict[str, tuple[Said, Said]]]:
    """The features of all files, and for each probe what is said of files and of windows.

    Args:
        dataset: as it was cross-validated.
        scores: by the probe's name, with the probe of each fold.
        embeddings: of the files; only their reductions are kept.
    """
    places: dict[Path, list[int]] = {}
    for place, item in enumerate(dataset.items):
        places.setdefault(item.file, []).append(place)
    number = {name: index for index, name in enumerate(dataset.classes)}
    labels = np.array([number[item.label] for item in dataset.items], np.int64)
    folds = {name: dict(zip(score.tested, score.fold, strict=True)) for name, score in scores.items()}
    order = {fold.name: index for index, fold in enumerate(dataset.folds)}
    rows = {name: (_Rows(), _Rows()) for name in scores}
    features: dict[Path, Features] = {}
    for file, embedding in embeddings:
        features[file] = whole = of_file(embedding)
        for place in places[file]:
            for name, score in scores.items():
                if place in folds[name]:
                    fold = folds[name][place]
                    parts = whole.rows(name), _windows(embedding, name)
                    for kept, part in zip(rows[name], parts, strict=True):
                        if len(part):
                            logits = score.probed[fold].probe.scores(part, len(number))
                            kept.add(place, order[fold], logits)
    return features, {name: (files.said(labels), windows.said(labels)) for name, (files, windows) in rows.items()}


def _windows(embedding: Embedding, name: str) -> FloatRows:
    """The rows of the windows that have what a probe needs."""
    there = {"video": embedding.has_video, "audio": embedding.has_audio}
    sides = [side for side in there if name in (side, "av")]
    mask = np.logical_and.reduce([there[side] for side in sides])
    return np.concatenate([getattr(embedding, side)[mask] for side in sides], axis=1)
