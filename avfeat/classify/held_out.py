"""What cross-validated probes say of the items that they were not fitted on, as files and over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfeat.classify.calibration import fit_temperature, held_out_probabilities
from avfeat.embedding import Embedding, FloatRows
from avfeat.evaluation.dataset import Dataset
from avfeat.evaluation.features import Features, of_file
from avfeat.evaluation.logistic import Labels, Matrix
from avfeat.evaluation.probe import LEAST, Probe, fit_probes


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


def fit_on(
    dataset: Dataset, features: Mapping[Path, Features], name: str, c: float, places: Iterable[int]
) -> Probe:
    """A probe on those of some items that have what it goes by."""
    able = [
        item
        for item in (dataset.items[place] for place in places)
        if item.file in features and features[item.file].has(name)
    ]
    rows = np.concatenate([features[item.file].rows(name) for item in able])
    number = {label: index for index, label in enumerate(dataset.classes)}
    return fit_probes(rows, np.array([number[item.label] for item in able], np.int64), [c], LEAST)[c]


def hold_out(
    dataset: Dataset, probes: Mapping[str, Sequence[Probe]], embeddings: Iterable[tuple[Path, Embedding]]
) -> dict[str, tuple[Said, Said]]:
    """What is said of files and of windows, by the probe's name.

    Args:
        dataset: with its folds.
        probes: by name, one a fold.
        embeddings: of the files; one is looked at at a time.
    """
    places: dict[Path, list[int]] = {}
    for place, item in enumerate(dataset.items):
        places.setdefault(item.file, []).append(place)
    number = {label: index for index, label in enumerate(dataset.classes)}
    labels = np.array([number[item.label] for item in dataset.items], np.int64)
    fold_of = {place: index for index, fold in enumerate(dataset.folds) for place in fold.test}
    rows = {name: (_Rows(), _Rows()) for name in probes}
    for file, embedding in embeddings:
        whole = of_file(embedding)
        for name in probes:
            if not whole.has(name):
                continue
            parts = whole.rows(name), _windows(embedding, name)
            for place in places[file]:
                probe = probes[name][fold_of[place]]
                for kept, part in zip(rows[name], parts, strict=True):
                    if len(part):
                        kept.add(place, fold_of[place], probe.scores(part, len(number)))
    return {name: (files.said(labels), windows.said(labels)) for name, (files, windows) in rows.items()}


def _windows(embedding: Embedding, name: str) -> FloatRows:
    """The rows of the windows that have what a probe needs."""
    there = {"video": embedding.has_video, "audio": embedding.has_audio}
    sides = [side for side in there if name in (side, "av")]
    mask = np.logical_and.reduce([there[side] for side in sides])
    return np.concatenate([getattr(embedding, side)[mask] for side in sides], axis=1)
