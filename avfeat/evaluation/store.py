"""Embeddings on disk: computed once for a bundle, a file and a grid; written atomically."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from avfeat.cache import cache_folder
from avfeat.embedding import Embedding, Failure
from avfeat.evaluation.embedders import Embedder
from avfeat.grid import microseconds
from avfeat.version import __version__
from avfeat.writers.npz import read_npz, write_npz

Tell = Callable[[str, int], AbstractContextManager[Callable[[str], None]]]
"""Shows progress: called with a label and a number of files, gives what is called with the name of each."""


def silent(label: str, total: int) -> AbstractContextManager[Callable[[str], None]]:
    """Shows nothing."""
    return nullcontext(lambda name: None)


class Store:
    """A folder of embeddings, one npz file each, as ``avfeat embed`` writes them.

    A file is known by its path, size and time of change. What is not whole is computed again. Failures are not
    kept: the next run tries again.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Keep embeddings in ``folder``; None for ``evaluation`` in the cache folder."""
        self._folder = cache_folder("evaluation") if folder is None else folder

    def embeddings(
        self,
        embedder: Embedder,
        files: Iterable[Path],
        *,
        hop: float,
        start: float,
        workers: int | None = None,
        progress: Tell = silent,
    ) -> Iterator[tuple[Path, Embedding | Failure]]:
        """Each file once with its embedding, or why it has none: first what is kept, then what is computed.

        Args:
            embedder: what embeds.
            files: media files, there or not.
            hop: seconds between windows.
            start: start of the first window in seconds.
            workers: files at a time; None for one a processor.
            progress: shows progress of what is computed.

        Raises:
            OutputError: the folder cannot be written.
        """
        missing = {}
        for file in dict.fromkeys(files):
            path = self._path(embedder, file, hop, start)
            whole = None if path is None else read_npz(path)
            kept = None if whole is None else _embedding(*whole)
            if kept is None:
                missing[file] = path
            else:
                yield file, kept
        if not missing:
            return
        with progress(f"embedding with {embedder.name}", len(missing)) as advance:
            results = embedder.embed_many(list(missing), hop=hop, start=start, workers=workers)
            for (file, path), result in zip(missing.items(), results, strict=True):
                if path is not None and isinstance(result, Embedding):
                    write_npz(path, result)
                advance(file.name)
                yield file, result

    def _path(self, embedder: Embedder, file: Path, hop: float, start: float) -> Path | None:
        """Where the embedding of a file belongs; None for a file that is not there."""
        try:
            status = file.stat()
        except (OSError, ValueError):
            return None
        facts = [
            *(__version__, *embedder.key, microseconds(hop), microseconds(start)),
            *(os.fspath(file.resolve()), status.st_size, status.st_mtime_ns),
        ]
        name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return self._folder / embedder.key[0][:16] / name[:2] / f"{name}.npz"


def _embedding(arrays: dict[str, Any], meta: dict[str, Any]) -> Embedding | None:
    """A kept embedding; None if it does not say all of itself."""
    try:
        return Embedding(
            **arrays,
            source=meta["source"],
            bundle=meta["bundle"],
            seconds=meta["seconds"],
            hop=meta["hop"],
            duration=meta["duration"],
            damaged=meta["damaged"],
            damage=tuple(meta["damage"]),
        )
    except KeyError:
        return None
