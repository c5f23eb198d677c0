"""How far predictions are from what a teacher says: of each clip the mean over its views; this process' share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.simsiam import cosine


def regression(predicted: Tensor, taught: Tensor, rows: GatheredRows) -> Tensor:
    """The mean squared distance of unit vectors, ``2 - 2 cos``: of each clip the mean over its views.

    Args:
        predicted: ``(batch * views, dim)``, of any length, views of a clip next to each other.
        taught: the teacher's features of the same views, without gradient.
        rows: the clips that have the modality.

    Returns:
        This process' share, see ``gather``.
    """
    predicted, taught = _there(rows, predicted, taught)
    return _mean(rows, 2 - 2 * cosine(predicted, taught))


def smooth_regression(predicted: Tensor, standardised: Tensor, rows: GatheredRows) -> Tensor:
    """The smooth L1 distance, a mean over features; otherwise as ``regression``."""
    predicted, standardised = _there(rows, predicted, standardised)
    return _mean(rows, F.smooth_l1_loss(predicted, standardised, reduction="none").mean(1))


def classification(predicted: Tensor, scores: Tensor, rows: GatheredRows, several: bool) -> Tensor:
    """How badly class scores are predicted; otherwise as ``regression``.

    Args:
        predicted: before the sigmoid, or the softmax, ``(batch * views, classes)``.
        scores: the teacher's, in [0, 1].
        rows: the clips that have the modality.
        several: binary cross-entropy, a sum over the classes, of which several may be true; else cross-entropy.
    """
    predicted, scores = _there(rows, predicted, scores)
    if several:
        return _mean(rows, F.binary_cross_entropy_with_logits(predicted, scores, reduction="none").sum(1))
    return _mean(rows, F.cross_entropy(predicted, scores, reduction="none"))


def _there(rows: GatheredRows, *sides: Tensor) -> list[Tensor]:
    """float32, and zeros for clips that do not count, so that not even a NaN of theirs does."""
    here = rows.here.repeat_interleave(len(sides[0]) // len(rows.here))[:, None]
    return [torch.where(here, side.float(), 0) for side in sides]


def _mean(rows: GatheredRows, distance: Tensor) -> Tensor:
    """This process' share of the mean over clips; ``distance`` is that of each view, ``(batch * views,)``."""
    return rows.mean(distance.view(len(rows.here), -1).mean(1))
