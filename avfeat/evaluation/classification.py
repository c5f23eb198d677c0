"""One engine for every data set with a train and a test list: embeddings, linear probe, scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfeat.embedding import Embedding
from avfeat.errors import DatasetError
from avfeat.evaluation.coverage import Coverage
from avfeat.evaluation.dataset import Dataset, Fold, LabelledItem
from avfeat.evaluation.embedders import Embedder
from avfeat.evaluation.features import Collected, Features, check_any, collect, of_file, stack_features
from avfeat.evaluation.interval import bootstrap
from avfeat.evaluation.logistic import Labels
from avfeat.evaluation.probe import linear_probe
from avfeat.evaluation.store import Store, Tell, silent

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """How a protocol looks at a file.

    Attributes:
        name: of the protocol.
        labels: the label of each row of an item.
        reduce: an embedding as rows.
        hop: seconds between windows; None for their length.
        centred: whether the first window is centred on half a second, rather than beginning with the file.
        classes: what labels there are beyond the data set's classes.
    """

    name: str
    labels: Callable[[LabelledItem], Sequence[str]]
    reduce: Callable[[Embedding], Features] = of_file
    hop: float | None = None
    centred: bool = False
    classes: tuple[str, ...] = ()

    def times(self, seconds: float) -> tuple[float, float]:
        """Hop and start for windows of ``seconds``."""
        hop = seconds if self.hop is None else self.hop
        return hop, (0.5 - seconds / 2 if self.centred else 0.0)


VIDEO = View("video", lambda item: (item.label,))
"""One row a file: the masked mean of its windows at the default hop."""


@dataclass(frozen=True)
class Score:
    """How right the probe on one modality is.

    Attributes:
        accuracy: in [0, 1]; over several folds, the mean of theirs.
        interval: its 95 % bootstrap interval.
        folds: accuracy on each fold.
        c: the C that each fold chose.
        confusion: int64 ``(classes, classes)``: rows of a class (down) that were taken for one (across).
        predicted: for each item tested, in the order of the folds, the classes that its rows were taken for.
    """

    accuracy: float
    interval: tuple[float, float]
    folds: Mapping[str, float]
    c: Mapping[str, float]
    confusion: NDArray[np.int64]
    predicted: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ClassificationEntry:
    """One row of the table: a model or a baseline, and its score for each modality that it has."""

    name: str
    scores: Mapping[str, Score]


@dataclass(frozen=True, kw_only=True)
class ClassificationResult(Coverage):
    """What an evaluation found.

    Attributes:
        classes: labels, in the order of the confusion matrices.
        entries: the model, then the baselines.
        majority: accuracy of always saying the class that is most frequent in train.
        chance: accuracy of guessing.
        counts: items that were evaluated on: ``train``, ``val``, ``test`` (with several folds, of the first).
        seconds: time taken for ``embedding`` and ``probe``.
    """

    classes: tuple[str, ...]
    entries: tuple[ClassificationEntry, ...]
    majority: float
    chance: float
    counts: Mapping[str, int]


def classify(
    dataset: Dataset,
    embedders: Sequence[Embedder],
    store: Store,
    view: View = VIDEO,
    *,
    workers: int | None = None,
    progress: Tell = silent,
) -> ClassificationResult:
    """Measure embedders on a data set by a linear probe.

    Files without an embedding are left out of every part, and listed.

    Args:
        dataset: with its folds.
        embedders: the model, then baselines.
        store: where embeddings are kept.
        view: the protocol.
        workers: files at a time; None for one a processor.
        progress: shows progress.

    Raises:
        DatasetError: nothing is there to fit, to choose C on, or to test.
        BackendError: scikit-learn is not installed.
    """
    begun = time.perf_counter()
    found = [_collect(dataset, embedder, store, view, workers, progress) for embedder in embedders]
    model = found[0]
    there = np.array([item.file in model.features for item in dataset.items], dtype=np.bool_)
    task = _ProbeTask.from_dataset(dataset, view, there, model)
    embedded = time.perf_counter()
    entries = []
    for embedder, collected in zip(embedders, found, strict=True):
        entries.append(
            ClassificationEntry(embedder.name, {kind: task.score(collected, kind) for kind in _able(collected)})
        )
    first = task.folds[0]
    return ClassificationResult(
        dataset=dataset.name,
        protocol=view.name,
        classes=task.classes,
        entries=tuple(entries),
        majority=task.majority(),
        chance=1 / len(task.classes),
        counts={"train": len(first.train), "val": len(first.val), "test": len(first.test)},
        annotated=len(dataset.items),
        used=int(there.sum()),
        missing=model.missing,
        damaged=model.damaged,
        seconds={"embedding": embedded - begun, "probe": time.perf_counter() - embedded},
    )


def _able(found: Collected) -> tuple[str, ...]:
    """The modalities that an embedder has."""
    return next(iter(found.features.values())).modalities


def _collect(
    dataset: Dataset, embedder: Embedder, store: Store, view: View, workers: int | None, progress: Tell
) -> Collected:
    hop, start = view.times(embedder.seconds)
    return collect(
        dataset.files, embedder, store, view.reduce, hop=hop, start=start, workers=workers, progress=progress
    )


@dataclass(frozen=True)
class _ProbeTask:
    """What all embedders are asked: the items that are there, their labels, and the folds."""

    items: tuple[LabelledItem, ...]
    classes: tuple[str, ...]
    labels: Labels
    folds: tuple[Fold, ...]

    @classmethod
    def from_dataset(cls, dataset: Dataset, view: View, there: NDArray[np.bool_], found: Collected) -> _ProbeTask:
        check_any(dataset, found)
        classes = (*dataset.classes, *view.classes)
        place = {name: index for index, name in enumerate(classes)}
        labels = np.array([[place[label] for label in view.labels(item)] for item in dataset.items], dtype=np.int64)
        folds = tuple(_present(dataset, fold, there) for fold in dataset.folds)
        return cls(dataset.items, classes, labels, folds)

    def score(self, found: Collected, modality: str) -> Score:
        """Fit and test one modality on every fold."""
        width = found.features[next(iter(found.features))].rows(modality).shape[1]
        rows = np.zeros((*self.labels.shape, width), np.float32)
        used = sorted({place for fold in self.folds for place in (*fold.train, *fold.val, *fold.test)})
        rows[used] = stack_features(found.features, (self.items[place].file for place in used), modality)
        predicted, chosen = {}, {}
        for fold in self.folds:
            chosen[fold.name], predicted[fold.name] = self._probe(rows, fold)
        return self._score(predicted, chosen)

    def _probe(self, rows: Rows, fold: Fold) -> tuple[float, Labels]:
        """The chosen C and the classes that the test rows are taken for: ``(items, rows)``."""
        val = set(fold.val)
        fitted = [place for place in fold.train if place not in val] if fold.refit else list(fold.train)
        refit = self._part(rows, fold.train) if fold.refit else None
        test, _ = self._part(rows, fold.test)
        probed = linear_probe(self._part(rows, fitted), self._part(rows, fold.val), test, refit)
        return probed.c, probed.predicted.reshape(len(fold.test), -1)

    def _part(self, rows: Rows, places: Sequence[int]) -> tuple[Rows, Labels]:
        chosen = list(places)
        return rows[chosen].reshape(-1, rows.shape[-1]), self.labels[chosen].reshape(-1)

    def _score(self, predicted: Mapping[str, Labels], chosen: Mapping[str, float]) -> Score:
        confusion = np.zeros((len(self.classes), len(self.classes)), np.int64)
        right, groups, weights, named = [], [], [], []
        for fold in self.folds:
            truth, said = self.labels[list(fold.test)], predicted[fold.name]
            np.add.at(confusion, (truth.reshape(-1), said.reshape(-1)), 1)
            right.append((truth == said).mean(axis=1))
            groups += [self.items[place].group for place in fold.test]
            weights.append(np.full(len(fold.test), 1 / len(fold.test)))
            named += [tuple(self.classes[index] for index in row) for row in said]
        accuracy = [float(part.mean()) for part in right]
        return Score(
            accuracy=float(np.mean(accuracy)),
            interval=bootstrap(np.concatenate(right), groups, np.concatenate(weights)),
            folds={fold.name: value for fold, value in zip(self.folds, accuracy, strict=True)},
            c=chosen,
            confusion=confusion,
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
    parts = {
        part: tuple(place for place in getattr(fold, part) if there[place]) for part in ("train", "val", "test")
    }
    fitted = set(parts["train"]) - set(parts["val"])
    for part, places in {**parts, "train": tuple(fitted)}.items():
        if not places:
            named = f" of fold {fold.name}" if fold.name else ""
            remedy = "add the files that are missing" if getattr(fold, part) else f"its list of {part} is empty"
            raise DatasetError(
                f"{dataset.name}: nothing is there for {part}{named}: {_count_rows(parts, fold)}; {remedy}."
            )
    return Fold(fold.name, parts["train"], parts["val"], parts["test"], fold.refit)


def _count_rows(parts: Mapping[str, Sequence[int]], fold: Fold) -> str:
    return ", ".join(f"{part} {len(places):,} of {len(getattr(fold, part)):,}" for part, places in parts.items())
