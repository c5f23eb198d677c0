"""Zero-shot classification: the class whose sentences are nearest in the shared space, without any training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfeat.bundle import Modality
from avfeat.encoder import Encoder
from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset, LabelledItem
from avfeat.evaluation.embedders import Embedder
from avfeat.evaluation.features import Features, check_any, collect, of_file
from avfeat.evaluation.interval import bootstrap
from avfeat.evaluation.prompts import read_prompts
from avfeat.evaluation.store import Store, Tell, silent

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class ZeroShot:
    """What sentences alone reach.

    Attributes:
        prompts: the sentences of each class.
        accuracy: by modality, in [0, 1]; over several folds, the mean of theirs.
        interval: by modality, its 95 % bootstrap interval over groups.
        tested: how many files were asked about.
        chance: accuracy of guessing.
    """

    prompts: Mapping[str, tuple[str, ...]]
    accuracy: Mapping[Modality, float]
    interval: Mapping[Modality, tuple[float, float]]
    tested: int
    chance: float


def zero_shot(
    dataset: Dataset,
    encoder: Encoder,
    embedder: Embedder,
    store: Store,
    given: str,
    *,
    workers: int | None = None,
    progress: Tell = silent,
) -> ZeroShot:
    """How often the nearest class by its sentences is a file's own.

    A class is the mean of the rows of its sentences, a file the mean of its windows' shared rows; both are
    normalised (Radford et al., arXiv 2103.00020). What a file without the modality is taken for is not right. Of a
    data set with folds, the test files are asked about; of one without, all files.

    Args:
        dataset: labelled files.
        encoder: of the bundle.
        embedder: the same, for files.
        store: where embeddings are kept.
        given: a template or a file, as ``read_prompts`` takes it.
        workers: files at a time; None for one a processor.
        progress: shows progress.

    Raises:
        BundleError: the bundle has no text encoder.
        ArgumentError: a class without a sentence.
        DatasetError: nothing is there to test.
        BackendError: tokenizers is not installed.
    """
    modalities = encoder.bundle.text_graph().compares
    prompts = read_prompts(given, dataset.classes)
    classes = np.stack([_normalised(encoder.embed_text(texts)) for texts in prompts.values()])
    found = collect(
        dataset.files, embedder, store, of_file, hop=embedder.seconds, start=0.0, workers=workers, progress=progress
    )
    check_any(dataset, found)
    asked = [[item for item in fold if item.file in found.features] for fold in _tested(dataset)]
    if not all(asked):
        raise DatasetError(f"{dataset.name}: nothing is there to test; add the files that are missing.")
    groups = [item.group for fold in asked for item in fold]
    weights = np.concatenate([np.full(len(fold), 1 / len(fold)) for fold in asked])
    flat = [(item, found.features[item.file]) for fold in asked for item in fold]
    right = {name: np.array([_right(*one, name, classes, dataset) for one in flat]) for name in modalities}
    return ZeroShot(
        prompts=prompts,
        accuracy={name: float(np.average(values, weights=weights)) for name, values in right.items()},
        interval={name: bootstrap(values, groups, weights) for name, values in right.items()},
        tested=len(groups),
        chance=1 / len(classes),
    )


def _tested(dataset: Dataset) -> Sequence[Sequence[LabelledItem]]:
    if not dataset.folds:
        return [dataset.items]
    return [[dataset.items[place] for place in fold.test] for fold in dataset.folds]


def _right(item: LabelledItem, features: Features, modality: Modality, classes: Rows, dataset: Dataset) -> bool:
    there = features.has_video if modality == "video" else features.has_audio
    rows = features.video_shared if modality == "video" else features.audio_shared
    return there and dataset.classes[int((classes @ _normalised(rows)).argmax())] == item.label


def _normalised(rows: NDArray[np.float32]) -> Rows:
    """The direction of the mean of rows ``(n, d)``: float64 ``(d,)``."""
    mean: Rows = rows.mean(axis=0, dtype=np.float64)
    return mean / max(float(np.linalg.norm(mean)), np.finfo(np.float64).tiny)
