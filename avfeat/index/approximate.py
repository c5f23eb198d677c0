"""The files of a large index that a query may be in, by LanceDB's index of vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avfeat.index.align import WEIGHTS, Pair, Query
from avfeat.reading.lance import index_entries, open_windows
from avfeat.writers import lance

_NEAREST = 100
"""Windows that are asked for by each of the query's."""

_WINDOWS = 32
"""Windows of a query that are asked with, spread over it."""

_FILES = 200
"""Files that are then compared window by window."""


def large(path: Path) -> Any | None:
    """The windows of an index, if there are so many that they are not all compared."""
    if path.suffix.lower() != lance.INDEX or not path.is_dir():
        return None
    windows = open_windows(path)
    with lance.lance_errors(path):
        return windows if windows.count_rows() >= lance.MANY else None


def first_source(path: Path) -> str:
    """The name of some file of an index, from which its bundle and its grid are seen."""
    return index_entries(path)[0].source


def candidates(windows: Any, query: Query, pairs: Sequence[Pair]) -> list[str]:
    """The files whose windows are nearest to the query's: those first whose similarities add up to the most."""
    similar: defaultdict[str, float] = defaultdict(float)
    for ours, theirs in pairs:
        vectors, name = query.vectors.get(ours), f"{theirs}_shared"
        if vectors is None or not getattr(windows.schema.field(name).type, "list_size", None):
            continue
        there = np.flatnonzero(vectors.there)
        asked = there[np.unique(np.linspace(0, len(there) - 1, min(len(there), _WINDOWS)).astype(int))]
        for place in asked if len(there) else ():
            near = windows.search(vectors.rows[place], vector_column_name=name).distance_type("dot")
            # Without its distance among the columns, LanceDB warns on stderr.
            found = near.limit(_NEAREST).refine_factor(2).select(["source", "_distance"]).to_arrow()
            best: dict[str, float] = {}
            columns = (found[name].to_pylist() for name in ("source", "_distance"))
            for source, distance in zip(*columns, strict=True):
                # LanceDB's distance of products is 1 less the product.
                best[source] = max(best.get(source, 0.0), 1.0 - distance)
            for source, one in best.items():
                similar[source] += WEIGHTS.get((ours, theirs), 1.0) * one
    return sorted(similar, key=lambda source: (-similar[source], source))[:_FILES]
