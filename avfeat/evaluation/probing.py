"""One probe after another: fitted, chosen and tested on every fold of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset, Fold, LabelledItem
from avfeat.evaluation.features import Collected, stack_features
from avfeat.evaluation.interval import bootstrap
from avfeat.evaluation.logistic import Labels
from avfeat.evaluation.probe import NestedProbes, Probed, linear_probe

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """How right the probe on one modality is.

    Attributes:
        accuracy: in [0, 1]; over several folds, the mean of theirs.
        interval: its 95 % bootstrap interval.
        folds: accuracy on each fold.
        probed: what each fold's probe chose, and the probe.
        confusion: int64 ``(classes, classes)``: rows of a class (down) that were taken for one (across).
        tested: the items that were tested, in the order of the folds, by their places in the data set.
        fold: the fold of each.
        predicted: the classes that the rows of each were taken for.
    """

    accuracy: float
    interval: tuple[float, float]
    folds: Mapping[str, float]
    probed: Mapping[str, Probed]
    confusion: NDArray[np.int64]
    tested: tuple[int, ...]
    fold: tuple[str, ...]
    predicted: tuple[tuple[str, ...], ...]

    @property
    def c(self) -> Mapping[str, float]:
        """The C that each fold chose."""
        return {name: one.c for name, one in self.probed.items()}


@dataclass(frozen=True)
class ProbeTask:
    """What all embedders are asked: the items that are there, their labels, and the folds."""

    items: tuple[LabelledItem, ...]
    classes: tuple[str, ...]
    labels: Labels
    folds: tuple[Fold, ...]

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        labels: Sequence[Sequence[str]],
        more: Sequence[str],
        there: NDArray[np.bool_],
    ) -> ProbeTask:
        """What is to be done with a data set.

        Args:
            dataset: with its folds.
            labels: of the rows of each item.
            more: classes beyond those of the data set.
            there: bool ``(items,)``, which have features.

        Raises:
            DatasetError: nothing is there to fit, to choose C on, or to test.
        """
        classes = (*dataset.classes, *more)
        place = {name: index for index, name in enumerate(classes)}
        numbers = np.array([[place[label] for label in row] for row in labels], dtype=np.int64)
        return cls(dataset.items, classes, numbers, tuple(_present(dataset, fold, there) for fold in dataset.folds))

    def scores(self, found: Collected, masked: bool) -> Iterator[tuple[str, Score]]:
        """Each modality that there are features of, with its score; arguments as of ``View``."""
        for modality in next(iter(found.features.values())).modalities:
            task = self._masked(found, modality) if masked else self
            if task is not None:
                yield modality, task.score(found, modality)

    def _masked(self, found: Collected, modality: str) -> ProbeTask | None:
        """The task without the items that lack a modality; None if a fold has then too little to fit or to test."""
        able = {file for file, features in found.features.items() if features.has(modality)}
        folds = [
            fold.only({place for place, item in enumerate(self.items) if item.file in able}) for fold in self.folds
        ]
        if not all(fold.test and len(np.unique(self.labels[list(fold.train)])) > 1 for fold in folds):
            return None
        return replace(self, folds=tuple(folds))

    def score(self, found: Collected, modality: str) -> Score:
        """Fit and test one modality on every fold."""
        width = found.features[next(iter(found.features))].rows(modality).shape[1]
        rows = np.zeros((*self.labels.shape, width), np.float32)
        used = sorted({place for fold in self.folds for place in (*fold.train, *fold.val, *fold.test)})
        rows[used] = stack_features(found.features, (self.items[place].file for place in used), modality)
        nested = NestedProbes(rows.reshape(-1, width), self.labels.reshape(-1))
        return self._score({fold.name: self._probe(rows, fold, nested) for fold in self.folds})

    def _probe(self, rows: Rows, fold: Fold, nested: NestedProbes) -> Probed:
        if fold.parts:
            return nested.probe([self._rows_of(part) for part in fold.parts], self._rows_of(fold.test))
        test, _ = self._part(rows, fold.test)
        val = set(fold.val)
        fitted = [place for place in fold.train if place not in val] if fold.refit else list(fold.train)
        refit = self._part(rows, fold.train) if fold.refit else None
        return linear_probe(self._part(rows, fitted), self._part(rows, fold.val), test, refit)

    def _part(self, rows: Rows, places: Sequence[int]) -> tuple[Rows, Labels]:
        chosen = list(places)
        return rows[chosen].reshape(-1, rows.shape[-1]), self.labels[chosen].reshape(-1)

    def _rows_of(self, places: Sequence[int]) -> list[int]:
        """The places of items' rows, where those of all items lie one below the other."""
        each = self.labels.shape[1]
        return [place * each + row for place in places for row in range(each)]

    def _score(self, probed: Mapping[str, Probed]) -> Score:
        confusion = np.zeros((len(self.classes), len(self.classes)), np.int64)
        right, named = [], []
        for fold in self.folds:
            truth = self.labels[list(fold.test)]
            said = probed[fold.name].predicted.reshape(truth.shape)
            np.add.at(confusion, (truth.reshape(-1), said.reshape(-1)), 1)
            right.append((truth == said).mean(axis=1))
            named += [tuple(self.classes[index] for index in row) for row in said]
        tested = [place for fold in self.folds for place in fold.test]
        accuracy = [float(part.mean()) for part in right]
        weights = [np.full(len(fold.test), 1 / len(fold.test)) for fold in self.folds]
        groups = [self.items[place].group for place in tested]
        return Score(
            accuracy=float(np.mean(accuracy)),
            interval=bootstrap(np.concatenate(right), groups, np.concatenate(weights)),
            folds={fold.name: value for fold, value in zip(self.folds, accuracy, strict=True)},
            probed=probed,
            confusion=confusion,
            tested=tuple(tested),
            fold=tuple(fold.name for fold in self.folds for _ in fold.test),
            predicted=tuple(named),
        )

    def majority(self) -> float:
        """Accuracy of the class that has the most train rows (of equals, the first), mean over the folds."""
        found = []
        for fold in self.folds:
            counts = np.bincount(self.labels[list(fold.train)].reshape(-1), minlength=len(self.classes))
            found.append(float((self.labels[list(fold.test)] == counts.argmax()).mean()))
        return float(np.mean(found))


def _present(dataset: Dataset, fold: Fold, there: NDArray[np.bool_]) -> Fold:
    """A fold without what is not there.

    Raises:
        DatasetError: nothing is left of one of its parts.
    """
    kept = fold.only(set(np.flatnonzero(there).tolist()))
    parts = {part: getattr(kept, part) for part in ("train", "val", "test")}
    fitted = set(parts["train"]) - set(parts["val"])
    for part, places in {**parts, "train": tuple(fitted)}.items():
        if not places and not (part == "val" and fold.parts):
            named = f" of fold {fold.name}" if fold.name else ""
            remedy = "add the files that are missing" if getattr(fold, part) else f"its list of {part} is empty"
            raise DatasetError(
                f"{dataset.name}: nothing is there for {part}{named}: {_count_rows(parts, fold)}; {remedy}."
            )
    return kept


def _count_rows(parts: Mapping[str, Sequence[int]], fold: Fold) -> str:
    return ", ".join(f"{part} {len(places):,} of {len(getattr(fold, part)):,}" for part, places in parts.items())
