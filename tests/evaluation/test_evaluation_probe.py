from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from avfeat.errors import AvfeatError
from avfeat.evaluation import probe
from avfeat.evaluation.interval import bootstrap
from avfeat.evaluation.logistic import fit_all
from avfeat.evaluation.probe import GRID, NestedProbes, fit_probes, linear_probe


def made(n: int, d: int, classes: int, seed: int = 0, rank: int | None = None):
    """Correlated features of a few classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    rows = rng.normal(size=(n, d)) * np.exp(-np.arange(d) / (d / 8)) + rng.normal(size=(classes, d))[labels] * 0.3
    mix = rng.normal(size=(d, d))
    if rank is not None:
        mix = mix[:, :rank] @ rng.normal(size=(rank, d))
    return rows @ mix, labels


@pytest.mark.parametrize(("n", "d", "classes"), [(60, 100, 4), (200, 30, 5), (150, 20, 2), (50, 80, 2)])
def test_a_fit_is_that_of_scikit_learn(n: int, d: int, classes: int) -> None:
    rows, labels = made(n, d, classes)
    rows = StandardScaler().fit_transform(rows)
    for c, ours in zip(GRID, fit_all(rows, labels, GRID), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = LogisticRegression(C=c, tol=1e-10, max_iter=100_000).fit(rows, labels)
        np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))
        weights = ours.weights if classes > 2 else ours.weights[:, 1:] - ours.weights[:, :1]
        np.testing.assert_allclose(weights, theirs.coef_.T, atol=2e-4 * np.abs(theirs.coef_).max())


def test_features_that_do_not_vary_or_repeat_are_no_trouble() -> None:
    rows, labels = made(80, 40, 3, rank=6)
    rows[:, 7] = 1.0
    found = linear_probe((rows[:50], labels[:50]), (rows[50:65], labels[50:65]), rows[65:])
    copied = np.concatenate([rows, rows[:, :1]], axis=1)[:, :-1]
    again = linear_probe((copied[:50], labels[:50]), (copied[50:65], labels[50:65]), copied[65:])
    np.testing.assert_array_equal(found.predicted, again.predicted)


def test_the_smallest_c_counts_among_equals() -> None:
    rows = np.array([[-1.0], [-2.0], [1.0], [2.0]])
    labels = np.array([0, 0, 1, 1])
    found = linear_probe((rows, labels), (rows, labels), rows)
    assert set(found.validation.values()) == {1.0}
    assert found.c == 1e-4


def test_c_is_chosen_on_the_validation_rows_and_nothing_is_refitted() -> None:
    rows, labels = made(120, 60, 4, seed=3)
    train, val, test = slice(0, 60), slice(60, 90), slice(90, 120)
    found = linear_probe((rows[train], labels[train]), (rows[val], labels[val]), rows[test])
    scaler = StandardScaler().fit(rows[train])
    accuracy = {}
    for c in GRID:
        model = LogisticRegression(C=c, tol=1e-9, max_iter=50_000).fit(scaler.transform(rows[train]), labels[train])
        accuracy[c] = model.score(scaler.transform(rows[val]), labels[val])
        if c == found.c:
            np.testing.assert_array_equal(found.predicted, model.predict(scaler.transform(rows[test])))
    assert found.validation == pytest.approx(accuracy)
    assert found.c == min(c for c in GRID if accuracy[c] == max(accuracy.values()))


def test_a_refit_takes_the_rows_that_it_is_given() -> None:
    rows, labels = made(120, 30, 3, seed=4)
    everything = (rows[:90], labels[:90])
    found = linear_probe((rows[:60], labels[:60]), (rows[60:90], labels[60:90]), rows[90:], refit=everything)
    scaler = StandardScaler().fit(everything[0])
    model = LogisticRegression(C=found.c, tol=1e-9, max_iter=50_000).fit(scaler.transform(rows[:90]), labels[:90])
    np.testing.assert_array_equal(found.predicted, model.predict(scaler.transform(rows[90:])))


def test_what_cannot_be_fitted_is_said() -> None:
    rows, labels = made(20, 5, 3)
    with pytest.raises(AvfeatError, match="two classes"):
        linear_probe((rows, np.zeros(20, int)), (rows, labels), rows)
    rows[3, 2] = np.nan
    with pytest.raises(AvfeatError, match="NaN or infinite"):
        linear_probe((rows, labels), (rows, labels), rows)


def test_a_bootstrap_interval_is_that_of_plain_resampling() -> None:
    rng = np.random.default_rng(0)
    groups = [f"v{number}" for number in rng.integers(0, 40, 200)]
    correct = rng.random(200) < 0.6
    by_group = {name: correct[[group == name for group in groups]] for name in sorted(set(groups))}
    means = []
    for _ in range(4000):
        drawn = rng.choice(list(by_group), len(by_group))
        means.append(np.concatenate([by_group[name] for name in drawn]).mean())
    expected = np.percentile(means, [2.5, 97.5])
    np.testing.assert_allclose(bootstrap(correct, groups), expected, atol=0.012)
    assert bootstrap(correct, groups) == bootstrap(correct, groups)
    assert bootstrap(np.ones(5), list("abcde")) == (1.0, 1.0)


def test_a_bootstrap_interval_is_the_95_percent_one_of_the_binomial() -> None:
    # With equal groups, hits of a resample are binomial; at 90 % both ends would be 0.008 further in.
    correct, groups = np.arange(400) < 240, [str(number) for number in range(400)]
    expected = binom.ppf([0.025, 0.975], 400, 0.6) / 400
    np.testing.assert_allclose(bootstrap(correct, groups), expected, atol=0.004)


def test_a_bootstrap_interval_weighs_rows() -> None:
    correct, groups = np.arange(60) % 3 < 1, [f"v{number // 2}" for number in range(60)]
    expected = bootstrap(correct, groups)
    assert bootstrap(correct, groups, np.full(60, 0.5)) == pytest.approx(expected, abs=1e-12)
    wrong = np.concatenate([correct, np.zeros(60, bool)])
    assert bootstrap(wrong, groups * 2, np.repeat([1.0, 0.0], 60)) == expected


def test_an_interval_over_videos_is_wider_than_one_over_their_segments() -> None:
    rng = np.random.default_rng(1)
    correct = np.repeat(rng.random(30) < 0.5, 10)
    videos = [f"v{number // 10}" for number in range(300)]
    wide, narrow = bootstrap(correct, videos), bootstrap(correct, [str(number) for number in range(300)])
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_a_feature_that_hardly_varies_does_not_explode() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(40, 6)), np.arange(40) % 2
    rows[:, 0] += 2 * labels
    rows[:, 1] = 1e-6 * rng.normal(size=40)
    others = rng.normal(size=(40, 6))
    others[:, 0] += 2 * labels
    (plain,), (steady,) = (list(fit_probes(rows, labels, [1.0], least).values()) for least in (0.0, 0.3))
    assert np.abs(plain.scores(others, 2)).max() > 1e4 > 100 > np.abs(steady.scores(others, 2)).max()
    assert (steady.predict(others) == labels).mean() > 0.7


def test_folds_choose_c_among_themselves_and_share_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(60, 4)), np.arange(60) % 3
    rows[:, 0] += 6 * labels
    parts = [list(range(first, 60, 3)) for first in range(3)] + [[]]
    made: list[int] = []

    def counted(*arguments: Any) -> Any:
        made.append(len(arguments[0]))
        return fit_probes(*arguments)

    monkeypatch.setattr(probe, "fit_probes", counted)
    nested = NestedProbes(rows, labels)
    found = nested.probe(parts[:2], parts[2])
    # Each of the two parts alone is of a single class: nothing can choose, so the smallest C is taken.
    assert found.validation == dict.fromkeys(GRID, 0.0) and found.c == GRID[0] and made == [40]
    parts = [list(range(first, first + 20)) for first in (0, 20, 40)]
    first, second = nested.probe(parts[:2], parts[2]), nested.probe(parts[1:], parts[0])
    assert made == [40, 20, 20, 40, 20, 40], "what is fitted on the second part serves both"
    assert (first.predicted == labels[40:]).mean() > 0.8 and first.validation[first.c] > 0.8
    assert second.c == min(c for c in GRID if second.validation[c] == max(second.validation.values()))
