"""Search in a large index: all windows compared, LanceDB's approximate index, and NumPy's brute force beside.

    python benchmarks/search.py INDEX [--windows 1000000] [--queries 100] [--keep FOLDER]

Makes an index of that many windows by jittering the rows of INDEX (a ``.lance`` folder or a ``.parquet`` table), as
files of 20 windows; queries are jittered rows, too. Times are medians over the queries, taken in turn in one run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import avfeat
from avfeat import Embedding
from avfeat.index.search import Searcher
from avfeat.writers import lance

FILE = 20
BUNDLE = "0" * 64
JITTER = 0.5
"""Length of the noise beside a row's own 1: its cosine with the row is then 0.89."""

Rows = NDArray[np.float32]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--windows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="folder for the large index, which is used again if it is there")
    given = parser.parse_args()
    random = np.random.default_rng(0)
    real = np.concatenate([one.video_shared[one.has_video] for one in avfeat.read_many(given.index)])
    print(f"{len(real)} rows of {real.shape[1]} dimensions in {given.index}")
    queries = [embedding("query", jittered(real, 1, random)) for _ in range(given.queries)]
    with tempfile.TemporaryDirectory() as folder:
        large = (given.keep or Path(folder)) / "large.lance"
        if not large.exists():
            begun = time.perf_counter()
            write(large, real, given.windows, random)
            print(f"written and indexed in {time.perf_counter() - begun:.0f} s")
        measure(large, queries)


def measure(path: Path, queries: list[Embedding]) -> None:
    """Print what each way takes, and what the approximate one misses."""
    lance.MANY, many = 1 << 62, lance.MANY
    exact = Searcher(path)
    lance.MANY = 0
    approximate = Searcher(path)
    lance.MANY = many
    rows = exact.collection.vectors["video"].rows
    windows = lance.index_tables(path)[lance.WINDOWS]

    def brute(query: Embedding) -> set[tuple[str, float]]:
        similar = rows @ query.video_shared[0]
        best = np.argpartition(-similar, 10)[:10]
        files, start = exact.collection.file[best], exact.collection.start[best]
        return {(exact.collection.sources[file], float(at)) for file, at in zip(files, start, strict=True)}

    def nearest(query: Embedding) -> set[tuple[str, float]]:
        near = windows.search(query.video_shared[0], vector_column_name="video_shared").distance_type("dot")
        found = near.limit(10).refine_factor(2).select(["source", "start", "_distance"]).to_arrow()
        return set(zip(found["source"].to_pylist(), found["start"].to_pylist(), strict=True))

    ways: dict[str, Callable[[Embedding], Any]] = {
        "NumPy's brute force, 10 windows": brute,
        "LanceDB's HNSW, 10 windows": nearest,
        "avfeat.search, all compared, 10 moments": lambda query: moments(exact, query),
        "avfeat.search, approximate, 10 moments": lambda query: moments(approximate, query),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[set[Any]]] = {name: [] for name in ways}
    for query in queries:
        for name, way in ways.items():
            begun = time.perf_counter()
            found[name].append(way(query))
            times[name].append(time.perf_counter() - begun)
    names = list(ways)
    print(f"{len(exact.collection)} windows, {len(queries)} queries")
    for name, taken in times.items():
        truth = found[names[0] if name in names[:2] else names[2]]
        recall = np.mean([len(one & other) / len(one) for one, other in zip(truth, found[name], strict=True)])
        middle, late = np.quantile(taken, [0.5, 0.95])
        print(f"{name:42} median {1e3 * middle:7.1f} ms  95 % {1e3 * late:7.1f} ms  recall@10 {recall:.3f}")


def moments(searcher: Searcher, query: Embedding) -> set[tuple[str, float]]:
    """The best moments."""
    return {(hit.file, hit.start) for hit in searcher.find(query, "video", 10)}


def write(path: Path, real: Rows, windows: int, random: np.random.Generator) -> None:
    """An index of that many windows."""
    count = windows // FILE
    sources = [f"{number:06d}.mp4" for number in range(count)]
    with lance.open_index(path, BUNDLE, sources, ()) as index:
        for source, found in zip(sources, embeddings(sources, real, random), strict=True):
            index.put(source, found)


def embeddings(sources: list[str], real: Rows, random: np.random.Generator) -> Iterator[Embedding]:
    """One for each source."""
    for source in sources:
        yield embedding(source, jittered(real, FILE, random))


def jittered(real: Rows, count: int, random: np.random.Generator) -> Rows:
    """Real rows with noise, of unit length."""
    noise = random.standard_normal((count, real.shape[1])).astype(np.float32)
    rows = real[random.integers(len(real), size=count)] + JITTER / real.shape[1] ** 0.5 * noise
    found: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def embedding(source: str, rows: Rows) -> Embedding:
    """Windows of 2 s that have video alone."""
    count = len(rows)
    start = np.arange(count, dtype=np.float64) * 2
    nothing = np.zeros((count, 1), np.float32)
    return Embedding(
        start=start,
        end=start + 2,
        video=nothing,
        audio=nothing,
        video_shared=rows,
        audio_shared=np.zeros_like(rows),
        has_video=np.ones(count, bool),
        has_audio=np.zeros(count, bool),
        source=source,
        bundle=BUNDLE,
        seconds=2.0,
        hop=2.0,
        duration=2.0 * count,
        damaged=False,
    )


if __name__ == "__main__":
    main()
