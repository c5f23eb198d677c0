"""One engine for every data set with a train and a test list: embeddings, linear probe, scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avfeat.embedding import Embedding
from avfeat.evaluation.coverage import Coverage
from avfeat.evaluation.dataset import Dataset, LabelledItem
from avfeat.evaluation.embedders import Embedder
from avfeat.evaluation.features import Collected, Features, check_any, collect, of_file
from avfeat.evaluation.probing import ProbeTask, Score
from avfeat.evaluation.store import Store, Tell, silent


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
        masked: whether a file without a modality is left out where that one is measured; else its row is zeros. A
            modality that has too few files is left out, too.
    """

    name: str
    labels: Callable[[LabelledItem], Sequence[str]]
    reduce: Callable[[Embedding], Features] = of_file
    hop: float | None = None
    centred: bool = False
    classes: tuple[str, ...] = ()
    masked: bool = False

    def times(self, seconds: float) -> tuple[float, float]:
        """Hop and start for windows of ``seconds``."""
        hop = seconds if self.hop is None else self.hop
        return hop, (0.5 - seconds / 2 if self.centred else 0.0)


VIDEO = View("video", lambda item: (item.label,))
"""One row a file: the masked mean of its windows at the default hop."""


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
    check_any(dataset, model)
    there = np.array([item.file in model.features for item in dataset.items], dtype=np.bool_)
    labels = [tuple(view.labels(item)) for item in dataset.items]
    task = ProbeTask.from_dataset(dataset, labels, view.classes, there)
    embedded = time.perf_counter()
    entries = [
        ClassificationEntry(embedder.name, dict(task.scores(collected, view.masked)))
        for embedder, collected in zip(embedders, found, strict=True)
    ]
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


def _collect(
    dataset: Dataset, embedder: Embedder, store: Store, view: View, workers: int | None, progress: Tell
) -> Collected:
    hop, start = view.times(embedder.seconds)
    return collect(
        dataset.files, embedder, store, view.reduce, hop=hop, start=start, workers=workers, progress=progress
    )
