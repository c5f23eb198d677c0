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

LEAST = 0.3
"""Of the median deviation: what features deviate by at least, where folds are small."""

Rows = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Probe:
    """A fitted probe: features are standardised, and a regression gives the classes scores.

    Attributes:
        mean: float64 ``(d,)``, of the features.
        scale: float64 ``(d,)``, their deviation; 1 where there is none.
        regression: on standardised features.
    """

    mean: Matrix
    scale: Matrix
    regression: Regression

    def predict(self, rows: Rows) -> Labels:
        """The likeliest label of each of ``(n, d)`` rows."""
        return self.regression.predict(self._scaled(rows))

    def scores(self, rows: Rows, classes: int) -> Matrix:
        """Logits float64 ``(n, classes)`` of the labels from 0 on; minus infinity for what was not fitted."""
        found = np.full((len(rows), classes), -np.inf)
        found[:, self.regression.classes] = self.regression.scores(self._scaled(rows))
        return found

    def _scaled(self, rows: Rows) -> Matrix:
        scaled: Matrix = (_double(rows) - self.mean) / self.scale
        return scaled


@dataclass(frozen=True)
class Probed:
    """What a probe says of the test rows.

    Attributes:
        c: the chosen C.
        predicted: int64 ``(n_test,)``, the class of each row.
        validation: accuracy on the validation rows for each C.
        probe: what predicted them.
    """

    c: float
    predicted: Labels
    validation: Mapping[float, float]
    probe: Probe


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
    probes = fit_probes(*train, GRID)
    validation = {c: float(np.mean(probe.predict(val[0]) == val[1])) for c, probe in probes.items()}
    best = best_c(validation)
    if refit is not None:
        probes = fit_probes(*refit, [best])
    return Probed(best, probes[best].predict(test), validation, probes[best])


class NestedProbes:
    """Probes of folds that choose their C among themselves, each fit made once.

    Where fold 1 is tested and fold 2 judges, C is chosen by the same fits as where these two change roles.
    """

    def __init__(self, rows: Rows, labels: Labels) -> None:
        """Take rows ``(n, d)`` and classes ``(n,)``."""
        self._rows, self._labels = rows, labels
        self._fits: dict[tuple[int, ...], dict[float, Probe]] = {}

    def probe(self, parts: Sequence[Sequence[int]], test: Sequence[int]) -> Probed:
        """Take the C that is best on all parts, each by what is fitted on the others, fit on all, and predict.

        Args:
            parts: places of rows; a part that leaves a single class to be fitted chooses nothing.
            test: places of the rows to predict.

        Raises:
            AvfeatError: a single class is all there is to fit, or a fit does not converge.
            BackendError: scikit-learn is not installed.
        """
        right, judged = dict.fromkeys(GRID, 0), 0
        for number, part in enumerate(parts):
            others = sorted(place for other, one in enumerate(parts) if other != number for place in one)
            if part and len(np.unique(self._labels[others])) > 1:
                judged += len(part)
                for c, probe in self._fit(others).items():
                    right[c] += int((probe.predict(self._rows[list(part)]) == self._labels[list(part)]).sum())
        validation = {c: count / max(judged, 1) for c, count in right.items()}
        best = best_c(validation)
        whole = sorted(place for part in parts for place in part)
        probe = fit_probes(self._rows[whole], self._labels[whole], [best], LEAST)[best]
        return Probed(best, probe.predict(self._rows[list(test)]), validation, probe)

    def _fit(self, places: list[int]) -> dict[float, Probe]:
        key = tuple(places)
        if key not in self._fits:
            self._fits[key] = fit_probes(self._rows[places], self._labels[places], GRID, LEAST)
        return self._fits[key]


def best_c(validation: Mapping[float, float]) -> float:
    """The C of the best accuracy; of equals, the smallest."""
    # max takes the first of equals, and the grid ascends.
    return max(GRID, key=lambda c: validation[c])


def fit_probes(rows: Rows, labels: Labels, grid: Sequence[float], least: float = 0.0) -> dict[float, Probe]:
    """A probe for each C of ``grid``; errors as of ``linear_probe``.

    Args:
        rows: ``(n, d)``.
        labels: ``(n,)``.
        grid: inverse strengths of the penalty.
        least: the share of the median deviation of the features that none is taken to fall short of: one that is
            all but constant in a few rows would count thousandfold in others.
    """
    with extra_packages("eval"):
        from sklearn.preprocessing import StandardScaler
    scaler = StandardScaler()
    scaler.fit(_double(rows))
    mean, scale = scaler.mean_, scaler.scale_
    spread = np.sqrt(scaler.var_)
    if least and spread.any():
        scale = np.maximum(spread, least * np.median(spread[spread > 0]))
    found = fit_all((_double(rows) - mean) / scale, labels, grid)
    return {c: Probe(mean, scale, one) for c, one in zip(grid, found, strict=True)}


def _double(rows: Rows) -> Matrix:
    return np.asarray(rows, dtype=np.float64)
