"""Where in an index something is: ``avfeat.search``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from avfeat.arguments import check_path, check_whole, shown
from avfeat.embedding import Embedding
from avfeat.encoder import Encoder
from avfeat.errors import ArgumentError
from avfeat.index.align import Combine, Laid, Pair, Query, lay
from avfeat.index.approximate import candidates, first_source, large
from avfeat.index.collection import Collection, load_collection
from avfeat.index.query import make_query, query_of
from avfeat.index.sheet import place_of
from avfeat.made_with import check_bundle, encoder_of
from avfeat.media import Source
from avfeat.media.source import source_name

By = Literal["video", "audio", "both", "across", "text"]
PAIRS: dict[By, list[Pair]] = {
    "video": [("video", "video")],
    "audio": [("audio", "audio")],
    "both": [("video", "video"), ("audio", "audio")],
    "across": [("video", "audio"), ("audio", "video")],
    "text": [("text", "video"), ("text", "audio")],
}
MOST = 100_000

_JOINED = 0.9
"""Neighbours of a window that was found belong to its moment if they score this part of it, or more."""


@dataclass(frozen=True)
class Hit:
    """A moment.

    Attributes:
        file: its file, as it was named when it was embedded.
        start: where it begins, in seconds.
        end: where it ends.
        score: mean cosine of the windows, in [-1, 1]; of what is seen and what is heard, 0.7 and 0.3 of each.
    """

    file: str
    start: float
    end: float
    score: float


def search(
    index: str | os.PathLike[str],
    query: Source | Embedding,
    by: By = "both",
    *,
    top: int = 10,
    per_file: int = 3,
    encoder: Encoder | None = None,
) -> list[Hit]:
    """Find the moments of an index that are most like a query, the best first.

    A query of several windows is laid over each file at every offset: a moment is where it fits as a whole. For one
    of a single window (a picture, a text, a short clip) neighbouring windows that score alike are joined.

    Args:
        index: a ``.lance`` folder or a ``.parquet`` table that ``embed`` has written.
        query: media (a path, bytes, a file object), a still picture, which is taken for a frame that stands, or an
            ``Embedding``; with ``by="text"`` a text.
        by: ``video`` or ``audio`` compares that alone, ``both`` what there is of both; ``across`` compares what is
            seen in the one with what is heard in the other; ``text`` a text with both.
        top: moments at most.
        per_file: moments of one file at most.
        encoder: of the bundle that the index was made with; None for one that ships with avfeat.

    Raises:
        ArgumentError: an index or a query of another bundle, a query without what is compared, other arguments.
        OutputError: the index is not there, or not whole.
        MediaError: the query gives no embedding.
        BackendError: the index needs a package that is not installed.
    """
    return Searcher(index, encoder).find(query, by, top, per_file)


class Searcher:
    """An index in memory, for many queries; of a large one, what each query needs.

    Attributes:
        collection: its windows; of a large index those of one file.
    """

    def __init__(self, index: str | os.PathLike[str], encoder: Encoder | None = None) -> None:
        """Open an index; arguments and errors as ``search``."""
        path = Path(check_path("index", index))
        self._large = large(path)
        self.collection = load_collection(path, None if self._large is None else [first_source(path)])
        self._where = self.collection
        self._encoder: Encoder | None = None
        if encoder is not None:
            self.use(encoder)

    def use(self, encoder: Encoder) -> None:
        """Embed queries with this encoder; ``ArgumentError`` if it is of another bundle."""
        check_bundle(self.collection, encoder.bundle.sha256, f"the encoder ({encoder.bundle.name}) is")
        self._encoder = encoder

    def place(self, file: str) -> Path:
        """Where a file of the last answer is."""
        where = self._where
        return place_of(where.places[where.sources.index(file)], where.path)

    def find(self, query: Source | Embedding, by: By = "both", top: int = 10, per_file: int = 3) -> list[Hit]:
        """The best moments; arguments and errors as ``search``."""
        if by not in get_args(By):
            raise ArgumentError(f"by must be one of {', '.join(get_args(By))}, not {shown(by)}.")
        top, per_file = check_whole("top", top, 1, MOST), check_whole("per_file", per_file, 1, MOST)
        if by in ("across", "text") and not self.collection.shared:
            path = self.collection.path
            raise ArgumentError(f"{path}: its bundle has no shared space; search by video or audio.")
        windows, where = self._windows(query, by), self.collection
        if self._large is not None:
            where = load_collection(where.path, candidates(self._large, windows, PAIRS[by]))
        self._where = where
        combine: Combine = "max" if by == "text" else "mean"
        return moments(where, windows, lay(windows, where, PAIRS[by], combine), top, per_file)

    def _windows(self, query: Source | Embedding, by: By) -> Query:
        if isinstance(query, Embedding):
            check_bundle(self.collection, query.bundle, f"the query ({query.source}) is")
            found, name = query_of(query), query.source
        else:
            if self._encoder is None:
                self._encoder = encoder_of(self.collection)
            found, name = make_query(self._encoder, query, self.collection.hop(), by == "text"), source_name(query)
        if not any(ours in found.vectors and found.vectors[ours].there.any() for ours, _ in PAIRS[by]):
            missing, other = ("video", "audio") if by == "video" else ("audio", "video")
            raise ArgumentError(f"{name}: has no {missing} to search by; search by {other}.")
        return found


def moments(collection: Collection, query: Query, laid: Laid, top: int, per_file: int) -> list[Hit]:
    """The best moments, of which those of a file hardly overlap."""
    begin, stop = query.reach()
    hits: list[Hit] = []
    taken: dict[int, list[tuple[float, float]]] = {}
    for place in _best_first(laid.score):
        if len(hits) == top:
            break
        file = int(laid.file[place])
        seen = taken.setdefault(file, [])
        if len(seen) == per_file:
            continue
        low = high = place
        if len(query.start) == 1:
            low, high = _joined(laid, place)
        start = max(laid.offset[low] + begin, float(collection.start[collection.first[file]]), 0.0)
        length = stop - begin
        if "text" in query.vectors:
            length = float(collection.end[0] - collection.start[0])
        end = min(laid.offset[high] + begin + length, collection.durations[file])
        if end <= start or any(min(end, other[1]) - max(start, other[0]) > 0.5 * (end - start) for other in seen):
            continue
        seen.append((start, end))
        times = round(float(start), 6), round(float(end), 6)
        hits.append(Hit(collection.sources[file], *times, round(float(laid.score[place]), 6)))
    return hits


def _best_first(score: Any) -> Any:
    """Places of finite scores from the greatest on: sorted in parts, as only the first are wanted."""
    places = np.flatnonzero(np.isfinite(score))
    left, wanted = score[places], 1024
    while len(places):
        wanted = min(wanted, len(places))
        split = np.argpartition(-left, wanted - 1)
        best = split[:wanted]
        yield from places[best[np.argsort(-left[best], kind="stable")]].tolist()
        places, left, wanted = places[split[wanted:]], left[split[wanted:]], wanted * 8


def _joined(laid: Laid, place: int) -> tuple[int, int]:
    """The first and the last place of the neighbours that score alike."""
    least = laid.score[place] - (1 - _JOINED) * abs(laid.score[place])
    low = high = place
    while low > 0 and laid.file[low - 1] == laid.file[place] and laid.score[low - 1] >= least:
        low -= 1
    while high + 1 < len(laid.file) and laid.file[high + 1] == laid.file[place] and laid.score[high + 1] >= least:
        high += 1
    return low, high
