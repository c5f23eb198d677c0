"""What ``embed`` has written, as embeddings again: a module a format, and one way to put an embedding together."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from avfeat.arguments import check_path, shown
from avfeat.embedding import Embedding
from avfeat.errors import ArgumentError, OutputError
from avfeat.reading.h5 import read_h5
from avfeat.reading.jsonl import read_jsonl
from avfeat.reading.lance import read_index
from avfeat.reading.npz import read_npz_file
from avfeat.reading.parquet import read_parquet
from avfeat.writers.lance import INDEX

READERS: dict[str, Callable[[Path], Iterator[Embedding]]] = {
    ".npz": read_npz_file,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
    ".h5": read_h5,
    INDEX: read_index,
}
_NAMED = 3


def read(path: str | os.PathLike[str], source: str | None = None) -> Embedding:
    """The embedding that ``embed`` or ``Embedding.save`` has written to a file.

    A table of many files holds many: ``source`` says which, and ``read_many`` gives all of them. JSON lines know
    neither bundle nor duration: those of a folder are found in its journal; elsewhere ``bundle`` is empty and
    ``duration`` is the end of the last window; of a modality that is nowhere, rows have no numbers.

    Args:
        path: an ``.npz``, ``.jsonl``, ``.parquet`` or ``.h5`` file, or a ``.lance`` index.
        source: the file that was embedded, as it was named then; None where there is only one.

    Raises:
        ArgumentError: another kind of file, several sources and none named, or one that is not in it.
        OutputError: the file is not there, or not whole.
        BackendError: the format needs a package that is not installed.
    """
    found = read_many(path)
    if source is not None:
        for embedding in found:
            if embedding.source == source:
                return embedding
        raise ArgumentError(f"{path}: holds no source {shown(source)}; avfeat.read_many gives all that it holds.")
    first = list(itertools.islice(found, _NAMED))
    if len(first) == 1:
        return first[0]
    names = ", ".join(repr(embedding.source) for embedding in first)
    raise ArgumentError(f"{path}: holds several sources, such as {names}; name one with source=, or use read_many.")


def read_many(path: str | os.PathLike[str]) -> Iterator[Embedding]:
    """Every embedding of a file or table, one after the other; arguments and errors as ``read``."""
    place = Path(check_path("path", path))
    reader = READERS.get(place.suffix.lower())
    if reader is None:
        kinds, suffix = ", ".join(READERS), place.suffix or "such a name"
        raise ArgumentError(f"{place}: no embeddings are read from {suffix}; only from {kinds}.")
    if not place.exists():
        raise OutputError(f"{place}: no such file.")
    return reader(place)
