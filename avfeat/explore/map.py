"""A map of an index: its points, where they lie, their clusters and their groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.explore.agreement import Agreement, agreement_of
from avfeat.explore.groups import folders_of, labels_of
from avfeat.explore.layout import NO_CLUSTER, Layout, clusters_of, lay_out
from avfeat.explore.points import By, Kind, Points, make_points
from avfeat.index.collection import Collection


@dataclass(frozen=True)
class Map:
    """What is known of an index without its media files.

    Attributes:
        collection: the index.
        by: which vectors were compared.
        points: what is drawn.
        layout: where.
        clusters: int64 ``(n,)``, the cluster of each point, -1 for none.
        groups: by title, the group of each file of the index.
        agreement: of its windows, or None.
    """

    collection: Collection
    by: By
    points: Points
    layout: Layout
    clusters: NDArray[np.int64]
    groups: dict[str, list[str]]
    agreement: Agreement | None

    def files(self) -> NDArray[np.int64]:
        """Numbers of the files that have a point, ascending."""
        return np.unique(self.points.file)

    def summary(self) -> dict[str, Any]:
        """Counts, method, clusters and coordinates, for programs."""
        points, agreement = self.points, self.agreement
        sizes = np.bincount(self.clusters[self.clusters != NO_CLUSTER])
        return {
            "index": str(self.collection.path),
            "bundle": self.collection.bundle,
            "by": self.by,
            "points": points.kind,
            "method": self.layout.method,
            "counts": {
                "drawn": len(points),
                "of": points.of,
                "without": points.without,
                "files": len(self.files()),
                "unclustered": int((self.clusters == NO_CLUSTER).sum()),
            },
            "clusters": [int(size) for size in sizes],
            "agreement": None if agreement is None else {"above_chance": agreement.share},
            "coordinates": [
                {
                    "file": self.collection.sources[file],
                    "start": float(start),
                    "end": float(end),
                    "x": float(place[0]),
                    "y": float(place[1]),
                    "cluster": None if cluster == NO_CLUSTER else int(cluster),
                }
                for file, start, end, place, cluster in zip(
                    points.file, points.start, points.end, self.layout.places, self.clusters, strict=True
                )
            ],
        }


def make_map(collection: Collection, kind: Kind, by: By, labels: Path | None, seed: int) -> Map:
    """Lay an index out.

    Args:
        collection: the index.
        kind: windows or files.
        by: which vectors are compared.
        labels: a CSV with a label for each file, or None.
        seed: of all random numbers.

    Raises:
        ArgumentError: nothing in it has such vectors, or the CSV does not fit.
        DatasetError: the CSV cannot be read.
        BackendError: scikit-learn is not installed.
    """
    groups = {"folder": folders_of(collection.places)}
    if labels is not None:
        groups["label"] = labels_of(labels, collection)
    points = make_points(collection, kind, by)
    layout = lay_out(points.vectors, seed)
    clusters = clusters_of(layout.places, points.file)
    return Map(collection, by, points, layout, clusters, groups, agreement_of(collection, seed))
