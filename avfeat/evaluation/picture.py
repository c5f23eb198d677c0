"""The confusion matrix as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import ArgumentError
from avfeat.evaluation.classification import ClassificationResult
from avfeat.extras import extra_packages
from avfeat.plain import visible
from avfeat.writers.atomic import atomic

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture(path: Path) -> None:
    """Raise before any work for a picture that could not be drawn.

    Raises:
        ArgumentError: a suffix that is none of ``SUFFIXES``.
        BackendError: matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"{path}: the picture's suffix must be one of {', '.join(SUFFIXES)}.")
    with extra_packages("eval"):
        import matplotlib  # noqa: F401


def draw_confusion(result: ClassificationResult, path: Path, modality: str = "av") -> None:
    """Draw what the model takes each class for, as shares of the class, and write it atomically.

    Args:
        result: of a classification.
        path: the picture; its suffix is its format.
        modality: ``video``, ``audio`` or ``av``.

    Raises:
        ArgumentError: a suffix that is none of ``SUFFIXES``.
        BackendError: matplotlib is not installed.
        OutputError: the picture cannot be written.
    """
    score = result.entries[0].scores[modality]
    named = {"av": "audio + video"}.get(modality, modality)
    title = f"{result.dataset}, {result.protocol} protocol, {named}: {score.accuracy:.1%}"
    draw_matrix(result.classes, score.confusion, title, path)


def draw_matrix(classes: Sequence[str], confusion: NDArray[np.int64], title: str, path: Path) -> None:
    """Draw a confusion matrix; errors as of ``draw_confusion``.

    Args:
        classes: of its rows and columns.
        confusion: ``(classes, classes)``, how many of a class (down) were taken for one (across).
        title: above it.
        path: the picture; its suffix is its format.
    """
    check_picture(path)
    from matplotlib.figure import Figure

    counts = confusion.astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = 2.2 + 0.2 * len(classes)
    # A figure of its own, without pyplot: nothing global is touched, and no display is needed.
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    places = range(len(classes))
    # Names of classes are anybody's: nothing in them is a formula.
    names = [visible(name) for name in classes]
    axes.set_xticks(places, names, rotation=90, fontsize=7, parse_math=False)
    axes.set_yticks(places, names, fontsize=7, parse_math=False)
    axes.set_xlabel("taken for")
    axes.set_ylabel("class")
    axes.set_title(visible(title), fontsize=9, parse_math=False)
    figure.colorbar(image, label="share of the class", shrink=0.8)
    drawn = io.BytesIO()
    # No date: the same result gives the same bytes.
    metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix.lower())
    figure.savefig(drawn, format=path.suffix.lower().removeprefix("."), dpi=80, metadata=metadata)
    with atomic(path) as file:
        file.write(drawn.getvalue())
