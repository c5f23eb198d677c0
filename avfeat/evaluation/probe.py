"""The linear probe: standardised features, multinomial logistic regression, C by validation accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.evaluation.logistic import Labels, Matrix, Regression, fit_all
from avfeat.extras import extra_packages

GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of C, the inverse strength of the L2 penalty, ascending."""

Rows = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Probed:
    """What a probe says of the test rows.

    Attributes:
        c: the chosen C.
        predicted: int64 ``(n_test,)``, the class of each row.
        validation: accuracy on the validation rows for each C.
    """

    c: float
    predicted: Labels
    validation: Mapping[float, float]


def linear_probe(
    train: tuple[Rows, Labels],
    val: tuple[Rows, Labels],
    test: Rows,
    refit: tuple[Rows, Labels] | None = None,
) -> Probed:
    """Fit on ``train`` for every C, take the one that is best on ``val``, and predict ``test``.

    The scaler (mean 0, variance 1, by feature) and the regression are fitted on ``train`` alone; of equally good
    values of C, the smallest counts. Arithmetic is float64.

    Args:
        train: rows ``(n, d)`` and classes ``(n,)``.
        val: rows and classes that choose C.
        test: rows ``(m, d)``.
        refit: rows and classes to fit with the chosen C before predicting; None to predict with the fit on
            ``train``.

    Raises:
        AvfeatError: a single class in ``train``, or a fit that does not converge.
        BackendError: scikit-learn is not installed.
    """
    scaler, models = _fit(*train, GRID)
    rows = scaler.transform(_double(val[0]))
    validation = {c: float(np.mean(model.predict(rows) == val[1])) for c, model in models.items()}
    # max takes the first of equals, and the grid ascends.
    best = max(GRID, key=lambda c: validation[c])
    if refit is not None:
        scaler, models = _fit(*refit, [best])
    return Probed(best, models[best].predict(scaler.transform(_double(test))), validation)


def _fit(rows: Rows, labels: Labels, grid: Sequence[float]) -> tuple[Any, dict[float, Regression]]:
    """The scaler, and a model for each C."""
    with extra_packages("eval"):
        from sklearn.preprocessing import StandardScaler
    scaler = StandardScaler()
    scaled = scaler.fit_transform(_double(rows))
    return scaler, dict(zip(grid, fit_all(scaled, labels, grid), strict=True))


def _double(rows: Rows) -> Matrix:
    return np.asarray(rows, dtype=np.float64)
