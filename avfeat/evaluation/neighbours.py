"""Nearest neighbours that never share a group: kNN accuracy, and recall in retrieval.

Of a data set with a test list, the test files ask: in kNN the train files vote (Wu et al., CVPR 2018), in retrieval
they are searched among themselves. Of one without, every file asks all others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import ArgumentError, DatasetError
from avfeat.evaluation.coverage import Coverage
from avfeat.evaluation.dataset import Dataset, LabelledItem
from avfeat.evaluation.embedders import Embedder
from avfeat.evaluation.features import Collected, Features, check_any, collect, of_file
from avfeat.evaluation.interval import bootstrap
from avfeat.evaluation.nearest import Mask, Rows, similarities, vote
from avfeat.evaluation.store import Store, Tell, silent

RANKS = (1, 5, 20)
KNN = ("video", "audio", "av")
RETRIEVAL = (
    "video to video",
    "audio to audio",
    "video to video, shared",
    "audio to audio, shared",
    "audio to video",
    "video to audio",
)
"""Within a modality by cosine of the features, and by dot product in the shared space; across always the latter."""


@dataclass(frozen=True)
class Measure:
    """One figure.

    Attributes:
        value: in [0, 1].
        interval: its 95 % bootstrap interval over groups.
        chance: what a random order gives.
        queries: how many files were asked: those that have the modality, or both.
    """

    value: float
    interval: tuple[float, float]
    chance: float
    queries: int


@dataclass(frozen=True)
class NeighbourEntry:
    """One row of the table: its measures by task (and for retrieval, by rank); tasks that it cannot do lack."""

    name: str
    measures: Mapping[str, Mapping[int, Measure]]


@dataclass(frozen=True, kw_only=True)
class NeighbourResult(Coverage):
    """What was found among labelled files.

    Attributes:
        protocol: ``knn`` or ``retrieval``.
        entries: the model, then the baselines.
        majority: share of files that ask which are of the class that most of those who vote are of.
        classes: how many classes are there.
        groups: how many groups are there.
        annotated: labelled files that ask or vote.
        used: those that could be embedded.
        asked: those of ``used`` that ask.
        seconds: time taken for ``embedding`` and ``search``.
    """

    entries: tuple[NeighbourEntry, ...]
    majority: float
    classes: int
    groups: int
    asked: int


def evaluate_knn(
    dataset: Dataset,
    embedders: Sequence[Embedder],
    store: Store,
    neighbours: int = 1,
    *,
    workers: int | None = None,
    progress: Tell = silent,
) -> NeighbourResult:
    """Top-1 accuracy of the vote of each file's nearest neighbours of other groups, by cosine.

    Args:
        dataset: labelled files; with a fold, its train files vote on its test files.
        embedders: the model, then baselines.
        store: where embeddings are kept.
        neighbours: how many vote, as in ``nearest.vote``.
        workers: files at a time; None for one a processor.
        progress: shows progress.

    Raises:
        DatasetError: no file is there, none of train or of test, or all share one group or (kNN) one class.
        ArgumentError: less than one neighbour, or a data set with several folds.
        BackendError: a package is not installed.
    """
    if neighbours < 1:
        raise ArgumentError(f"At least one neighbour votes, not {neighbours}.")
    return _evaluate(
        "knn", dataset, embedders, store, lambda table: _knn(table, neighbours), workers=workers, progress=progress
    )


def evaluate_retrieval(
    dataset: Dataset,
    embedders: Sequence[Embedder],
    store: Store,
    *,
    workers: int | None = None,
    progress: Tell = silent,
) -> NeighbourResult:
    """Recall at 1, 5 and 20 among files of other groups; arguments and errors as of ``evaluate_knn``.

    Within a modality, a file of the same class and another group is right. From one modality to the other, the
    same file is, among files of other groups. Files with equal similarity to what is right count as before it.
    Of a data set with a fold, the test files are searched.
    """
    return _evaluate("retrieval", dataset, embedders, store, _retrieval, workers=workers, progress=progress)


def _evaluate(
    protocol: str,
    dataset: Dataset,
    embedders: Sequence[Embedder],
    store: Store,
    measure: Callable[[_Table], dict[str, dict[int, Measure]]],
    *,
    workers: int | None,
    progress: Tell,
) -> NeighbourResult:
    begun = time.perf_counter()
    dataset, asks, votes = _parts(dataset, protocol)
    found = [
        collect(dataset.files, one, store, of_file, hop=one.seconds, start=0.0, workers=workers, progress=progress)
        for one in embedders
    ]
    model = found[0]
    check_any(dataset, model)
    there = np.array([item.file in model.features for item in dataset.items], dtype=np.bool_)
    items, asks, votes = [dataset.items[place] for place in np.flatnonzero(there)], asks[there], votes[there]
    groups = {item.group for item in items}
    if not asks.any() or not votes.any():
        raise DatasetError(
            f"{dataset.name}: nothing is there of {'test' if votes.any() else 'train'}, with {len(items):,} of its "
            f"{len(dataset.items):,} files; add the files that are missing."
        )
    if len(groups) < 2:
        raise DatasetError(
            f"{dataset.name}: neighbours need files of two groups at least; {len(items):,} of its "
            f"{len(dataset.items):,} files could be embedded, of {len(groups)}."
        )
    if protocol == "knn" and len({item.label for item in items}) < 2:
        raise DatasetError(
            f"{dataset.name}: all files are of the class {items[0].label!r}; kNN needs two at least."
        )
    embedded = time.perf_counter()
    entries = [
        NeighbourEntry(one.name, measure(_Table.from_items(items, asks, votes, each)))
        for one, each in zip(embedders, found, strict=True)
    ]
    labels = np.array([item.label for item in items])
    common = Counter(labels[votes].tolist()).most_common(1)[0][0]
    return NeighbourResult(
        dataset=dataset.name,
        protocol=protocol,
        entries=tuple(entries),
        majority=float((labels[asks] == common).mean()),
        classes=len(set(labels.tolist())),
        groups=len(groups),
        annotated=len(dataset.items),
        used=len(items),
        asked=int(asks.sum()),
        missing=model.missing,
        damaged=model.damaged,
        seconds={"embedding": embedded - begun, "search": time.perf_counter() - embedded},
    )


def _parts(dataset: Dataset, protocol: str) -> tuple[Dataset, Mask, Mask]:
    """The files that take part, which of them ask, and which vote."""
    if len(dataset.folds) > 1:
        raise ArgumentError(f"{dataset.name}: has {len(dataset.folds)} splits; neighbours need one, or none.")
    for fold in dataset.folds:
        train = fold.train if protocol == "knn" else ()
        if not fold.test or (protocol == "knn" and not train):
            raise DatasetError(f"{dataset.name}: its list of {'train' if fold.test else 'test'} is empty.")
        items = tuple(dataset.items[place] for place in (*train, *fold.test))
        asks = np.arange(len(items)) >= len(train)
        return Dataset(dataset.name, items), asks, ~asks if train else asks
    every = np.ones(len(dataset.items), dtype=np.bool_)
    return dataset, every, every


@dataclass(frozen=True)
class _Table:
    """The files of one embedder: labels and group numbers, who asks and who votes, and features by file."""

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    asks: Mask
    votes: Mask
    features: tuple[Features, ...]

    @classmethod
    def from_items(cls, items: Sequence[LabelledItem], asks: Mask, votes: Mask, found: Collected) -> _Table:
        return cls(
            _to_numbers([item.label for item in items]),
            _to_numbers([item.group for item in items]),
            asks,
            votes,
            tuple(found.features[item.file] for item in items),
        )

    def has(self, *modalities: str) -> NDArray[np.int64]:
        """Positions of the files that have all of ``modalities``."""
        found = [all(getattr(one, f"has_{name}") for name in modalities) for one in self.features]
        return np.flatnonzero(found).astype(np.int64)

    def unit(self, name: str, places: NDArray[np.int64]) -> Rows:
        """Rows ``name`` of the files at ``places``, of length 1 (zeros stay)."""
        rows = np.concatenate([getattr(self.features[place], name) for place in places]).astype(np.float64)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Rows = rows / np.where(length > 0, length, 1)
        return unit


def _knn(table: _Table, neighbours: int) -> dict[str, dict[int, Measure]]:
    found = {}
    for name in KNN:
        places = table.has(*(("video", "audio") if name == "av" else (name,)))
        asked, voting = table.groups[places[table.asks[places]]], table.groups[places[table.votes[places]]]
        if not len(asked) or not len(voting) or len(np.union1d(asked, voting)) < 2:
            continue
        if name == "av":
            rows = np.concatenate([table.unit("video", places), table.unit("audio", places)], axis=1) / np.sqrt(2)
        else:
            rows = table.unit(name, places)
        found[name] = {neighbours: _vote(rows, table, places, neighbours)}
    return found


def _vote(rows: Rows, table: _Table, places: NDArray[np.int64], neighbours: int) -> Measure:
    labels, groups, votes = table.labels[places], table.groups[places], table.votes[places]
    asked = np.flatnonzero(table.asks[places])
    chance = np.zeros(len(asked))
    for number, query in enumerate(asked):
        others = labels[votes & (groups != groups[query])]
        chance[number] = float((others == labels[query]).mean()) if len(others) else 0.0
    right = vote(rows, labels, groups, neighbours, votes, asked).astype(np.float64)
    return _measure(right, chance, groups[asked])


def _retrieval(table: _Table) -> dict[str, dict[int, Measure]]:
    found = {}
    for task in RETRIEVAL:
        asked, wanted = task.split(",")[0].split(" to ")
        places = table.has(asked, wanted)
        if not len(places):
            continue
        suffix = "" if asked == wanted and not task.endswith("shared") else "_shared"
        queries, targets = table.unit(asked + suffix, places), table.unit(wanted + suffix, places)
        if queries.shape[1] and len(np.unique(table.groups[places])) > 1:
            labels = table.labels[places] if asked == wanted else None
            found[task] = _recall(queries, targets, table.groups[places], labels)
    return found


def _recall(
    queries: Rows, targets: Rows, groups: NDArray[np.int64], labels: NDArray[np.int64] | None
) -> dict[int, Measure]:
    """Recall at each rank; ``labels`` None: the target of a query is the one at its own place."""
    ranks, chance = np.zeros(len(queries)), np.zeros((len(queries), len(RANKS)))
    for query, similarity, allowed in similarities(queries, targets, groups, np.arange(len(queries))):
        if labels is None:
            allowed[query] = True
            right = np.arange(len(targets)) == query
        else:
            right = allowed & (labels == labels[query])
        wrong = allowed & ~right
        best = similarity[right].max() if right.any() else -np.inf
        ranks[query] = (similarity[wrong] >= best).sum() if right.any() else np.inf
        chance[query] = [_by_chance(int(right.sum()), int(allowed.sum()), rank) for rank in RANKS]
    return {
        rank: _measure((ranks < rank).astype(np.float64), chance[:, column], groups)
        for column, rank in enumerate(RANKS)
    }


def _by_chance(right: int, of: int, rank: int) -> float:
    """The probability that one of ``right`` among ``of`` comes up in ``rank`` draws without return."""
    drawn = np.arange(min(rank, of))
    return float(1 - np.prod(np.clip((of - right - drawn) / (of - drawn), 0, 1)))


def _measure(right: Rows, chance: Rows, groups: NDArray[np.int64]) -> Measure:
    return Measure(
        value=float(right.mean()),
        interval=bootstrap(right, [str(group) for group in groups]),
        chance=float(chance.mean()),
        queries=len(right),
    )


def _to_numbers(names: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)
