"""Where points lie."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from avfeat.explore.layout import clusters_of, lay_out, principal


def groups(count: int, dims: int = 16, of: int = 3, seed: int = 0) -> np.ndarray:
    """Unit vectors around ``of`` centres, one after the other."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(of, dims))[np.arange(count) % of] + 0.1 * rng.normal(size=(count, dims))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_principal_components_are_those_of_an_svd() -> None:
    rows = groups(50)
    centred = rows - rows.mean(axis=0)
    found = principal(rows, 2)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs(left[:, :2] * sizes[:2]), atol=1e-5)
    assert principal(rows[:, :1], 2)[:, 1].tolist() == [0.0] * 50
    assert principal(rows[:1], 2).tolist() == [[0.0, 0.0]]


def test_without_umap_the_map_is_pca_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    rows = groups(60)
    found = lay_out(rows, seed=0)
    assert (found.method, found.why) == ("PCA", "UMAP is not installed: pip install 'avfeat[search]'")
    np.testing.assert_array_equal(found.places, principal(rows, 2))
    assert lay_out(rows[:15], seed=0).why == "few points"


def test_clusters_are_ranked_by_size_and_hold_more_than_two_files() -> None:
    rng = np.random.default_rng(0)
    blob = np.repeat([0, 1, 2], [20, 60, 40])
    places = (np.array([(0, 0), (10, 0), (0, 10)])[blob] + rng.normal(0, 0.3, (120, 2))).astype(np.float32)
    found = clusters_of(places, np.arange(120))
    sizes = np.bincount(found[found >= 0])
    assert len(sizes) >= 3 and sizes.min() >= 5 and (np.diff(sizes) <= 0).all()
    assert all(len(set(blob[found == cluster])) == 1 for cluster in range(len(sizes)))
    # Files of 10 points: two of them alone are no cluster.
    of_files = clusters_of(places, np.repeat(np.arange(12), 10))
    assert (np.bincount(of_files[of_files >= 0]) > 20).all()
    assert clusters_of(places[:6], np.arange(6)).tolist() == [-1] * 6


@pytest.mark.nightly
def test_umap_gives_the_same_map_for_a_seed_and_keeps_groups_together() -> None:
    rows = groups(90)
    first, again, other = (lay_out(rows, seed) for seed in (1, 1, 2))
    assert first.method == "UMAP"
    np.testing.assert_array_equal(first.places, again.places)
    assert not np.array_equal(first.places, other.places)
    distance = np.linalg.norm(first.places[:, None] - first.places[None], axis=2) + np.eye(90) * 1e9
    assert (distance.argmin(axis=1) % 3 == np.arange(90) % 3).all()
