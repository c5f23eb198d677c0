"""Parquet tables as embeddings (extra ``parquet``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avfeat.embedding import Embedding
from avfeat.reading.columns import arrays_of, pieces
from avfeat.reading.restore import derived, not_whole, restored
from avfeat.writers.meta import METAS, parse_meta, parse_metas
from avfeat.writers.parquet import import_pyarrow

_AT_ONCE = 1024


def read_parquet(path: Path) -> Iterator[Embedding]:
    """The embeddings of a table, at constant memory."""
    with open_parquet(path) as file:
        metas = parquet_metas(file)
        for number, table in enumerate(pieces(file.iter_batches(_AT_ONCE))):
            arrays = arrays_of(table)
            facts = metas[number] if metas else derived(table["source"][0].as_py(), arrays)
            yield restored(path, arrays, facts)


@contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """A table as PyArrow's ``ParquetFile``; what is wrong with it is an ``OutputError``."""
    parquet = import_pyarrow()
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    # As in read_parquet_meta: of what damage makes of a footer, some is a type or an encoding that there is not.
    except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError, MemoryError) as error:
        raise not_whole(path) from error


def parquet_metas(file: Any) -> list[dict[str, Any]]:
    """What the table says of each of its sources, in order; empty where it says nothing."""
    found = file.metadata.metadata or {}
    if METAS in found:
        return parse_metas(found[METAS].decode())
    alone = parse_meta(found[b"meta"].decode()) if b"meta" in found else None
    return [] if alone is None else [alone]
