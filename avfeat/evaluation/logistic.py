"""Multinomial logistic regression with an L2 penalty, to convergence, for several penalties in a row.

The minimum is scikit-learn's (``LogisticRegression`` with lbfgs), and is found by the same algorithm, but in
coordinates in which it takes tens of steps rather than thousands: features of networks are so correlated that
plain lbfgs hardly moves. The penalty does not change when the features are rotated, so they are turned to their
principal axes, where the curvature at the beginning is nearly diagonal, and each axis is scaled by its root.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.errors import AvfeatError
from avfeat.extras import extra_packages

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

_SLOPE = 1e-9
# Rounding may keep lbfgs from going on: this is what counts as converged.
_FLAT = 1e-6
_STEPS = 10_000
_MEMORY = 20
_RANK = 1e-12
_LEAST = 1e-6
_SMALL = 50_000_000


@dataclass(frozen=True)
class Regression:
    """A fitted regression.

    Attributes:
        classes: the labels, ascending.
        weights: float64 ``(d, classes)``.
        intercepts: float64 ``(classes,)``.
    """

    classes: Labels
    weights: Matrix
    intercepts: Matrix

    def predict(self, rows: Matrix) -> Labels:
        """The likeliest label of each row."""
        found: Labels = self.classes[np.argmax(self.scores(rows), axis=1)]
        return found

    def scores(self, rows: Matrix) -> Matrix:
        """Logits of ``classes``, float64 ``(n, classes)``."""
        found: Matrix = rows @ self.weights + self.intercepts
        return found


def fit_all(rows: Matrix, labels: Labels, grid: Sequence[float]) -> list[Regression]:
    """Fit once for each C of ``grid``, in its order: each begins where the one before ended.

    Minimises the mean cross-entropy plus ``||W||^2 / (2 C n)``, the intercepts not penalised. Of two classes, as
    in scikit-learn, ``W`` is the difference of their weights.

    Args:
        rows: ``(n, d)``, centred.
        labels: ``(n,)``, of two classes at least.
        grid: inverse strengths of the penalty.

    Raises:
        AvfeatError: a single class, values that are NaN or infinite, or a fit that does not converge.
        BackendError: scikit-learn, which brings scipy and threadpoolctl, is not installed.
    """
    classes, truth = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise AvfeatError("A linear probe needs two classes at least among the files that are there to fit.")
    if not np.isfinite(rows).all():
        raise AvfeatError("A feature is NaN or infinite; does avfeat verify accept the bundle?")
    with _few_threads(rows.size * len(classes)):
        axes, variance = _principal_axes(rows)
        problem = _Problem(rows @ axes, np.eye(len(classes))[truth])
        begin = np.zeros((axes.shape[1] + 1, len(classes)))
        found = []
        for c in grid:
            penalty = (2 if len(classes) == 2 else 1) / (c * len(rows))
            begin = problem.minimum(begin, penalty, variance)
            found.append(Regression(classes.astype(np.int64), axes @ begin[:-1], begin[-1]))
    return found


@dataclass(frozen=True)
class _Problem:
    """Rows on their principal axes ``(n, r)``, and what they are, ``(n, classes)``."""

    rows: Matrix
    truth: Matrix

    def minimum(self, begin: Matrix, penalty: float, variance: Matrix) -> Matrix:
        """Weights, and intercepts as the last row, at the minimum."""
        with extra_packages("eval"):
            from scipy.optimize import minimize
        doubt = self._doubt(begin)
        scale = 1 / np.sqrt(np.append(variance * doubt + penalty, doubt))[:, None]

        def scaled(flat: Matrix) -> tuple[float, Matrix]:
            value, slope = self._loss(flat.reshape(begin.shape) * scale, penalty)
            return value, (slope * scale).reshape(-1)

        options = {"maxiter": _STEPS, "maxfun": 2 * _STEPS, "maxcor": _MEMORY, "gtol": _SLOPE, "ftol": 0.0}
        found: Any = minimize(scaled, (begin / scale).reshape(-1), jac=True, method="L-BFGS-B", options=options)
        steepest = float(np.abs(found.jac).max())
        if not steepest <= _FLAT:
            raise AvfeatError(
                f"The linear probe did not converge (slope {steepest:.1e} after {found.nit} steps); "
                "please report this with the bundle and the data set."
            )
        end: Matrix = found.x.reshape(begin.shape) * scale
        return end

    def _doubt(self, weights: Matrix) -> float:
        """Mean of ``p (1 - p)`` over rows and classes: how curved the cross-entropy is on an axis of variance 1."""
        power = np.exp(_scores(self.rows, weights))
        share = power / power.sum(axis=1, keepdims=True)
        return max(float((share * (1 - share)).mean()), _LEAST)

    def _loss(self, weights: Matrix, penalty: float) -> tuple[float, Matrix]:
        """Mean cross-entropy and penalty, and their slope."""
        scores = _scores(self.rows, weights)
        own = (scores * self.truth).sum(axis=1)
        power = np.exp(scores)
        total = power.sum(axis=1, keepdims=True)
        error = (power / total - self.truth) / len(self.rows)
        slope = np.concatenate([self.rows.T @ error + penalty * weights[:-1], error.sum(axis=0, keepdims=True)])
        value = np.mean(np.log(total[:, 0]) - own) + penalty / 2 * (weights[:-1] ** 2).sum()
        return float(value), slope


def _scores(rows: Matrix, weights: Matrix) -> Matrix:
    """Scores of the classes, the greatest of each row 0."""
    scores: Matrix = rows @ weights[:-1] + weights[-1]
    scores -= scores.max(axis=1, keepdims=True)
    return scores


def _few_threads(size: int) -> AbstractContextManager[Any]:
    """One thread for a small problem: on a busy machine, many wait for each other longer than they work."""
    with extra_packages("eval"):
        from threadpoolctl import threadpool_limits
    limits: AbstractContextManager[Any] = threadpool_limits(1 if size < _SMALL else None)
    return limits


def _principal_axes(rows: Matrix) -> tuple[Matrix, Matrix]:
    """Orthonormal axes ``(d, r)`` that span the rows, and the mean square of the rows on each.

    Weights off these axes would cost penalty and change no score, so the minimum has none.
    """
    if len(rows) < rows.shape[1]:
        _, lengths, turned = np.linalg.svd(rows, full_matrices=False)
        variance, axes = lengths**2 / len(rows), turned.T
    else:
        variance, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    kept = variance > _RANK * max(float(variance.max()), np.finfo(np.float64).tiny)
    return axes[:, kept], variance[kept]
