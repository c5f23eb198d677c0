from __future__ import annotations

import numpy as np
import pytest

from avfeat.classify.calibration import (
    calibration_error,
    fit_temperature,
    held_out_probabilities,
    log_loss,
    softmax,
)


def drawn(count: int = 4000, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are drawn with just these probabilities."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(count, classes))
    labels = (softmax(logits).cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_the_temperature_undoes_a_scale(scale: float) -> None:
    logits, labels = drawn()
    assert fit_temperature(scale * logits, labels) == pytest.approx(scale, rel=0.05)


def test_the_error_is_the_gap_between_what_is_stated_and_what_is_right() -> None:
    stated = np.array([[0.9, 0.1]] * 10 + [[0.4, 0.6]] * 10)
    labels = np.array([0] * 5 + [1] * 5 + [1] * 10)
    # Stated 0.9 and right in half, stated 0.6 and always right.
    assert calibration_error(stated, labels) == pytest.approx((0.4 + 0.4) / 2)
    weights = np.array([1.0] * 10 + [0.0] * 10)
    assert calibration_error(np.array([[1.0, 0.0]] * 20), np.zeros(20, int), weights) == 0


def test_calibration_on_other_folds_mends_what_is_too_sure() -> None:
    logits, labels = drawn(1000)
    raw, mended = softmax(5 * logits), held_out_probabilities(5 * logits, labels, np.arange(1000) % 5)
    assert calibration_error(mended, labels) < 0.06 < calibration_error(raw, labels)
    assert log_loss(mended, labels) < log_loss(raw, labels)
    np.testing.assert_array_equal(mended.argmax(axis=1), logits.argmax(axis=1))


def test_a_few_rows_that_are_all_right_make_nothing_certain() -> None:
    logits = np.array([[3.0, 0.0], [0.0, 3.0]] * 4)
    labels = np.array([0, 1] * 4)
    assert 0.8 < softmax(logits / fit_temperature(logits, labels)).max() < 0.95


def test_a_class_that_a_fold_did_not_know_says_nothing() -> None:
    logits, labels = drawn(400)
    unknown = np.concatenate([logits, np.full((400, 1), -np.inf)], axis=1)
    assert fit_temperature(unknown, labels) == pytest.approx(fit_temperature(logits, labels), rel=0.02)
    assert fit_temperature(unknown, np.full(400, 4)) == 1.0
    assert softmax(unknown)[:, 4].max() == 0
