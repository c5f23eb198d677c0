"""Labelled files to a classifier: cross-validated between groups, calibrated, fitted on all, written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from avfeat.arguments import check_path
from avfeat.classify.card import Card
from avfeat.classify.groups import with_folds
from avfeat.classify.held_out import fit_on, hold_out
from avfeat.classify.report import FittedClassifier, chosen_c, preference, summary
from avfeat.classify.writer import CalibratedProbe, write_classifier
from avfeat.datasets import Columns
from avfeat.embedding import Embedding
from avfeat.encoder import Encoder, load
from avfeat.errors import ArgumentError, DatasetError
from avfeat.evaluation.classification import ClassificationResult, View, classify
from avfeat.evaluation.dataset import Dataset
from avfeat.evaluation.embedders import BundleEmbedder, Embedder
from avfeat.evaluation.features import Features, collect, of_file
from avfeat.evaluation.handcrafted import Handcrafted
from avfeat.evaluation.readers import read_labelled
from avfeat.evaluation.store import Store, Tell, silent
from avfeat.extras import check_eval, extra_packages
from avfeat.version import __version__

SUFFIXES = ("", ".onnx")
_CHECKED = 64
"""Files on which the written file must compute what was fitted."""

_VIEW = View("classify", lambda item: (item.label,), masked=True)


def fit_classifier(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    columns: Columns | None = None,
    encoder: Encoder | None = None,
    baselines: bool = True,
    workers: int | None = None,
    store: Store | None = None,
    progress: Tell = silent,
) -> FittedClassifier:
    """Fit a classifier on labelled files, and measure it on groups that it was not fitted on.

    A linear probe for what is seen, one for what is heard and one for both, as far as there are files for them, on
    the mean features of a file; C by validation accuracy, temperature on held-out folds, then fitted on all files.

    Args:
        data: a folder with a sub-folder for each class, or a CSV of file, label and group.
        out: the file to write, ``.onnx``.
        columns: of the CSV; None for the usual names.
        encoder: what embeds; None for the bundle that ships with avfeat.
        baselines: whether colours and MFCC statistics are measured beside it.
        workers: files at a time; None for one a processor.
        store: where embeddings are kept; None for the cache folder.
        progress: shows progress.

    Raises:
        DatasetError: nothing labelled, a single class, or a class with a single group.
        ArgumentError: a column that is not there, or a name of the output that is of another kind.
        OutputError: the file cannot be written.
        BackendError: scikit-learn or onnx is not installed.
    """
    source, path = Path(check_path("data", data)), Path(check_path("out", out))
    check_output(path)
    dataset = with_folds(read_labelled(source, columns))
    check_eval()
    with extra_packages("eval"):
        import onnx  # noqa: F401
    store = Store() if store is None else store
    with ExitStack() as stack:
        if encoder is None:
            encoder = stack.enter_context(load())
        seconds = encoder.bundle.seconds
        model = BundleEmbedder(encoder)
        embedders: list[Embedder] = [model, *([Handcrafted(seconds)] if baselines else [])]
        measured = classify(dataset, embedders, store, _VIEW, workers=workers, progress=progress)
        scores = measured.entries[0].scores
        if not scores:
            raise DatasetError(
                f"{dataset.name}: too few files have what a probe could go by, in each fold two classes at least; "
                "add files of other groups."
            )
        return _write(path, dataset, model, encoder, store, measured)


def _write(
    path: Path,
    dataset: Dataset,
    model: BundleEmbedder,
    encoder: Encoder,
    store: Store,
    measured: ClassificationResult,
) -> FittedClassifier:
    """Calibrate what was measured on held-out folds, fit it on all files, and write it."""
    hop = model.seconds
    there = [file for file in dataset.files if file not in measured.missing]
    features = collect(there, model, store, of_file, hop=hop, start=0.0).features
    c = {name: chosen_c(score) for name, score in measured.entries[0].scores.items()}
    folds = {name: [fit_on(dataset, features, name, c[name], fold.train) for fold in dataset.folds] for name in c}
    kept = store.embeddings(model, features, hop=hop, start=0.0)
    said = hold_out(dataset, folds, ((file, one) for file, one in kept if isinstance(one, Embedding)))
    # Between folds of whole groups, the commonest class of what is fitted may be the rarest of what is tested.
    labels = Counter(item.label for item in dataset.items if item.file in features)
    measured = replace(measured, majority=max(labels.values()) / labels.total())
    fitted = summary(path, dataset, measured, features, {name: files for name, (files, _) in said.items()})
    probes = {}
    for name in preference(measured.entries[0].scores):
        files, windows = said[name]
        probe = fit_on(dataset, features, name, c[name], range(len(dataset.items)))
        probes[name] = CalibratedProbe(probe, files.temperature(), windows.temperature())
    card = _card(dataset, encoder, features, fitted, probes)
    some = list(features.values())[:_CHECKED]
    rows = {side: np.concatenate([one.rows(side) for one in some]) for side in card.dims}
    write_classifier(path, card, probes, rows)
    return fitted


def check_output(path: Path) -> None:
    """Raise before any work for a name that promises another kind of file.

    Raises:
        ArgumentError: another suffix.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"{path}: a classifier is an ONNX file; give it a name that ends in .onnx.")


def _card(
    dataset: Dataset,
    encoder: Encoder,
    features: Mapping[Path, Features],
    fitted: FittedClassifier,
    probes: Mapping[str, CalibratedProbe],
) -> Card:
    whole = next(iter(features.values()))
    needed = [side for side in ("video", "audio") if side in probes or "av" in probes]
    return Card(
        labels=dataset.classes,
        dims={side: whole.rows(side).shape[1] for side in needed},
        probes=tuple(probes),
        bundle=encoder.bundle.sha256,
        bundle_name=encoder.bundle.name,
        avfeat=__version__,
        figures=fitted.figures(),
    )
