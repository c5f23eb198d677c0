"""Parquet tables: one row a window, embeddings as fixed-size float32 lists (extra ``parquet``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.embedding import Embedding, dense_of
from avfeat.extras import extra_packages
from avfeat.writers.atomic import Nothing, atomic, printable
from avfeat.writers.meta import METAS, TableMeta, mask_of, meta, parse_meta


def write_parquet(path: Path, embedding: Embedding) -> None:
    """Write the table of one embedding, with its ``meta`` in the schema."""
    with parquet_table(path, {"meta": json.dumps(meta(embedding))}) as add:
        add(embedding)


def read_parquet_meta(path: Path) -> dict[str, Any] | None:
    """The ``meta`` of a table of one embedding that is whole, else None."""
    parquet = import_pyarrow()
    try:
        found = parquet.read_table(path, page_checksum_verification=True).schema.metadata
        return parse_meta(found[b"meta"].decode() if found else None)
    # Of what damage makes of a footer, some is a type or an encoding that there is not.
    except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError, MemoryError):
        return None


@contextmanager
def parquet_table(path: Path, metadata: Mapping[str, str] | None = None) -> Iterator[Callable[[Embedding], None]]:
    """A table of many embeddings; call what this gives with each. It appears when all are written.

    Without ``metadata`` its own says what is known of each embedding.
    """
    parquet = import_pyarrow()
    writer = None
    metas = TableMeta()

    def add(embedding: Embedding) -> None:
        nonlocal writer
        metas.add(embedding)
        table = table_of(embedding).replace_schema_metadata(metadata)
        if writer is None:
            writer = parquet.ParquetWriter(file, table.schema, write_page_checksum=True)
        writer.write_table(table)

    with atomic(path) as file:
        try:
            yield add
            if writer is None:
                raise Nothing
            if metadata is None:
                writer.add_key_value_metadata({METAS: metas.text()})
        finally:
            if writer is not None:
                writer.close()


def import_pyarrow() -> Any:
    """The module ``pyarrow.parquet``; without it an error that names the extra."""
    with extra_packages("parquet"):
        import pyarrow.parquet
    return pyarrow.parquet


def table_of(embedding: Embedding) -> Any:
    """The rows of an embedding as an Arrow table."""
    import pyarrow

    rows = len(embedding)
    columns = {
        "source": pyarrow.array([printable(embedding.source)] * rows, pyarrow.string()),
        "window": pyarrow.array(range(rows), pyarrow.int64()),
        "start": pyarrow.array(embedding.start),
        "end": pyarrow.array(embedding.end),
    }
    for name in ("video", "audio", "video_shared", "audio_shared"):
        columns[name] = _lists(getattr(embedding, name), mask_of(embedding, name))
    for name, values in dense_of(embedding).items():
        everywhere = values.dtype == np.float64  # times, which lie on the grid
        columns[name] = _lists(values, mask_of(embedding, name) | everywhere)
    return pyarrow.table(columns)


def _lists(values: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> Any:
    """Rows as lists of a fixed size, and those of dense rows as lists of such lists; null where masked."""
    import pyarrow

    if not values.shape[1]:
        # The model has no such output; lists of a fixed size cannot be empty.
        return pyarrow.nulls(len(values), pyarrow.list_(pyarrow.float32()))
    inner = pyarrow.array(np.ascontiguousarray(values).reshape(-1))
    if values.ndim > 2:
        inner = pyarrow.FixedSizeListArray.from_arrays(inner, values.shape[2])
    return pyarrow.FixedSizeListArray.from_arrays(inner, values.shape[1], mask=pyarrow.array(~mask))
