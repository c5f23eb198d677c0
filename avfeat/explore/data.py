"""What the page's scripts read: JSON in which arrays are base64 of little-endian numbers."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.explore.agreement import Agreement
from avfeat.explore.films import Shown
from avfeat.explore.points import Points
from avfeat.index.collection import Rows

MOST_BYTES = 4_000_000
"""Of the vectors that the page compares; of many points they have fewer dimensions."""

_BINS = 48
NOTHING = -32768
"""Of windows that lack sound or picture."""


def json_in_html(value: Any) -> str:
    """JSON that can stand in a ``<script>``: no tag and no comment begins in it, and all of it is ASCII."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def packed(values: NDArray[Any]) -> str:
    """An array as base64."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def names(values: Sequence[str]) -> dict[str, Any]:
    """Many names that begin alike."""
    least, greatest = min(values), max(values)
    same = (n for n, (ours, theirs) in enumerate(zip(least, greatest, strict=False)) if ours != theirs)
    start = least[: next(same, min(len(least), len(greatest)))]
    return {"start": start, "rest": [value[len(start) :] for value in values]}


def groups_of(title: str, values: Sequence[str]) -> dict[str, Any]:
    """Names of groups, the largest first, and the number of the group of each."""
    ranked = [name for name, _ in Counter(values).most_common()]
    rank = {name: number for number, name in enumerate(ranked)}
    return {"title": title, "names": ranked, "codes": packed(np.array([rank[value] for value in values], np.int32))}


def vectors_of(points: Points) -> dict[str, Any]:
    """Vectors as int8; where they would be too large, in the directions that keep most of their dot products."""
    rows: Rows = points.vectors
    dims = max(2, min(rows.shape[1], MOST_BYTES // max(1, len(rows))))
    if dims < rows.shape[1]:
        _, axes = np.linalg.eigh(rows.T @ rows)
        rows = rows @ axes[:, ::-1][:, :dims]
    scale = float(np.abs(rows).max()) / 127
    return {"dims": dims, "scale": scale, "rows": packed(np.round(rows / scale).astype(np.int8))}


def agreement_data(agreement: Agreement | None, first: NDArray[np.int64], files: NDArray[np.int64]) -> Any:
    """Cosines of the windows of ``files`` in ten-thousandths, file after file, and chance as a histogram."""
    if agreement is None:
        return None
    ends = np.append(first[1:], len(agreement.windows))
    rows = np.concatenate([np.arange(first[file], ends[file]) for file in files])
    cosines = agreement.windows[rows]
    whole = np.where(np.isnan(cosines), NOTHING, np.round(np.nan_to_num(cosines) * 10_000)).astype(np.int16)
    every = agreement.windows[~np.isnan(agreement.windows)]
    low, high = float(min(every.min(), agreement.chance[0])), float(max(every.max(), agreement.chance[-1]))
    edges = np.linspace(low, max(high, low + 1e-3), _BINS + 1)
    return {
        "windows": packed(whole),
        "counts": (ends - first)[files].tolist(),
        "share": agreement.share,
        "pairs": len(agreement.chance),
        "quantiles": [float(value) for value in np.quantile(agreement.chance, (0.05, 0.5, 0.95))],
        "edges": [float(edge) for edge in edges],
        "chance": (np.histogram(agreement.chance, edges)[0] / len(agreement.chance)).tolist(),
        "matched": (np.histogram(every, edges)[0] / len(every)).tolist(),
    }


def film_data(shown: Sequence[Shown], number: dict[int, int]) -> dict[str, Any]:
    """Frames and loudness by the page's number of the file."""
    found = {}
    for one in shown:
        strip = None if one.strip is None else base64.b64encode(one.strip).decode()
        peaks = None if one.peaks is None else packed(one.peaks)
        found[str(number[one.file])] = [one.parts, strip, one.aspect, peaks]
    return found
