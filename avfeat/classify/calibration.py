"""How far probabilities are to be believed: expected calibration error, and the temperature that mends it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avfeat.evaluation.logistic import Labels, Matrix
from avfeat.extras import extra_packages

BINS = 15
_FLOOR = 1e-9
_LEAST, _MOST = 1e-2, 1e3


def softmax(logits: Matrix) -> Matrix:
    """Probabilities ``(n, classes)`` of logits, of which one a row is finite at least."""
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Matrix = power / power.sum(axis=1, keepdims=True)
    return found


def fit_temperature(logits: Matrix, labels: Labels, weights: Matrix | None = None) -> float:
    """The temperature T at which ``softmax(logits / T)`` is likeliest (Guo et al., ICML 2017), from 0.01 to 1,000.

    As in Platt's scaling (1999), n rows are taken to be of their class with a probability of ``(n + 1) / (n + 2)``
    alone, so that a few rows that are all right do not make everything certain. Rows whose own class has no finite
    logit say nothing of it, and are left out; 1 if none is left.

    Args:
        logits: ``(n, classes)``, of rows that were not fitted.
        labels: ``(n,)``.
        weights: ``(n,)`` of the rows; None for equal ones.
    """
    with extra_packages("eval"):
        from scipy.optimize import minimize_scalar
    kept = np.isfinite(logits[np.arange(len(labels)), labels])
    if not kept.any():
        return 1.0
    rows, own = logits[kept] - logits[kept].max(axis=1, keepdims=True), labels[kept]
    weights = np.ones(len(rows)) if weights is None else weights[kept]
    finite = np.isfinite(rows)
    doubt = 1 / (weights.sum() + 2)
    target = finite * (doubt / np.maximum(finite.sum(axis=1, keepdims=True) - 1, 1))
    target[np.arange(len(own)), own] = 1 - doubt
    wanted = (np.where(finite, rows, 0) * target).sum(axis=1)

    def loss(log_t: float) -> float:
        t = np.exp(log_t)
        return float(weights @ (np.log(np.exp(rows / t).sum(axis=1)) * target.sum(axis=1) - wanted / t))

    found = minimize_scalar(loss, bounds=(np.log(_LEAST), np.log(_MOST)), method="bounded")
    return float(np.exp(found.x))


def held_out_probabilities(
    logits: Matrix, labels: Labels, folds: NDArray[np.int64], weights: Matrix | None = None
) -> Matrix:
    """Calibrated probabilities of every row, the temperature fitted on the rows of the other folds."""
    found = np.empty_like(logits)
    for fold in np.unique(folds):
        own = folds == fold
        rest = None if weights is None else weights[~own]
        found[own] = softmax(logits[own] / fit_temperature(logits[~own], labels[~own], rest))
    return found


def log_loss(probabilities: Matrix, labels: Labels) -> float:
    """Mean of minus the logarithm of the probability of what rows are; a probability below 1e-9 counts as that."""
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, _FLOOR)).mean())


def calibration_error(probabilities: Matrix, labels: Labels, weights: Matrix | None = None) -> float:
    """Expected calibration error: how far the share that is right is from the stated probability, in [0, 1].

    15 bins of equal width by the probability of the likeliest class (Guo et al., ICML 2017; Naeini et al., 2015).

    Args:
        probabilities: ``(n, classes)``.
        labels: ``(n,)``.
        weights: ``(n,)`` of the rows; None for equal ones.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    stated = probabilities.max(axis=1)
    gap = weights * ((probabilities.argmax(axis=1) == labels) - stated)
    bins = np.minimum((stated * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(bins, gap, BINS)).sum() / weights.sum())
