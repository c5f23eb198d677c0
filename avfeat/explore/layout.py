"""Where points lie on a map, and which of them form clusters there."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avfeat.extras import extra_packages
from avfeat.index.collection import Rows

NEIGHBOURS = 15
"""Of UMAP: how many points around each count."""

NO_CLUSTER = -1
_SMALLEST = 5


@dataclass(frozen=True)
class Layout:
    """A map.

    Attributes:
        method: how it was made.
        why: what to say where it is PCA; else empty.
        places: float32 ``(n, 2)``, each axis about its mean.
    """

    method: Literal["UMAP", "PCA"]
    why: str
    places: NDArray[np.float32]


def lay_out(vectors: Rows, seed: int) -> Layout:
    """Lay points out in two dimensions, so that those with like vectors lie together.

    UMAP (McInnes, Healy, Melville: https://arxiv.org/abs/1802.03426) over the exact nearest neighbours by cosine,
    from where PCA puts the points; PCA where UMAP is not installed or there are too few points. The same seed gives
    the same map on one machine.

    Args:
        vectors: ``(n, d)`` of unit length.
        seed: of UMAP's random numbers.
    """
    start = principal(vectors, 2)
    if len(vectors) <= NEIGHBOURS:
        return Layout("PCA", "few points", start)
    umap = _umap()
    if umap is None:
        return Layout("PCA", "UMAP is not installed: pip install 'avfeat[search]'", start)
    spread = 10 / max(float(np.abs(start).max()), 1e-6)
    nearest = _nearest(vectors)
    # One job: several would give another map each time.
    reducer = umap.UMAP(
        n_neighbors=NEIGHBOURS, precomputed_knn=nearest, init=start * spread, random_state=seed, n_jobs=1
    )
    with warnings.catch_warnings():
        # That no other points can be put on the map, and that of few points it finds the neighbours itself.
        warnings.simplefilter("ignore", UserWarning)
        places = np.asarray(reducer.fit_transform(vectors), np.float32)
    return Layout("UMAP", "", places - places.mean(axis=0))


def principal(vectors: Rows, dims: int) -> NDArray[np.float32]:
    """The first principal components, float32 ``(n, dims)``; of each, the largest weight is positive."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :dims]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    found = np.zeros((len(vectors), dims), np.float32)
    found[:, : axes.shape[1]] = centred @ axes
    return found


def clusters_of(places: NDArray[np.float32], file: NDArray[np.int64]) -> NDArray[np.int64]:
    """Clusters of points that lie close on the map, by HDBSCAN: int64 ``(n,)``, 0 for the largest, -1 for none.

    A cluster has more points than two files: the windows of one are always alike.

    Args:
        places: ``(n, 2)``.
        file: the number of each point's file.

    Raises:
        BackendError: scikit-learn is not installed.
    """
    with extra_packages("search"):
        from sklearn.cluster import HDBSCAN
    of_a_file = int(np.median(np.unique(file, return_counts=True)[1]))
    smallest = max(_SMALLEST, len(places) // 100, 2 * of_a_file + 1)
    if len(places) < 2 * smallest:
        return np.full(len(places), NO_CLUSTER, np.int64)
    # Leaves: the many small groups of a map, where the default gives one large one and its outliers.
    found: NDArray[np.int64] = (
        HDBSCAN(smallest, min_samples=_SMALLEST, cluster_selection_method="leaf", copy=True)
        .fit_predict(places)
        .astype(np.int64)
    )
    sizes = np.bincount(found[found >= 0])
    renamed = np.empty(len(sizes), np.int64)
    renamed[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    found[found >= 0] = renamed[found[found >= 0]]
    return found


def _nearest(vectors: Rows) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Of each point the nearest, itself first, and their Euclidean distances, which rank as cosines do.

    UMAP's own search, an approximate one, is compiled for a minute each time.
    """
    with extra_packages("search"):
        from sklearn.neighbors import NearestNeighbors
    distances, places = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(vectors).kneighbors(vectors)
    return places, distances.astype(np.float32)


def _umap() -> Any:
    """The module ``umap``, or None where it is not installed."""
    try:
        import umap
    except ModuleNotFoundError:
        return None
    return umap
