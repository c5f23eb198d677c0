"""Columns of Arrow tables as arrays, and tables as the pieces that belong to one source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.reading.restore import NAMES, TIMES, VECTORS


def arrays_of(table: Any) -> dict[str, NDArray[Any]]:
    """The arrays of an embedding from the columns of its rows; nulls are zeros, and masked."""
    arrays: dict[str, NDArray[Any]] = {name: table[name].to_numpy() for name in TIMES}
    others = [name for name in table.column_names if name in NAMES and name not in (*TIMES, "source")]
    arrays |= {name: vectors(table[name]) for name in others}
    for modality in ("video", "audio"):
        arrays[f"has_{modality}"] = there(table[modality])
    missing = set(VECTORS) - set(arrays)
    if missing:
        raise KeyError(missing)
    return arrays


def there(column: Any) -> NDArray[np.bool_]:
    """Which rows of a column are no nulls, bool ``(n,)``."""
    valid: NDArray[np.bool_] = column.combine_chunks().is_valid().to_numpy(zero_copy_only=False)
    return valid


def vectors(column: Any) -> NDArray[Any]:
    """Lists of a fixed size as an array ``(n, ...)``, zeros where they are null; ``(n, 0)`` without lists."""
    import pyarrow

    found = column.combine_chunks()
    if isinstance(found, pyarrow.ChunkedArray):
        found = pyarrow.concat_arrays(found.chunks)
    sides = []
    valid = found.is_valid().to_numpy(zero_copy_only=False)
    count = len(found)
    while pyarrow.types.is_fixed_size_list(found.type):
        size = found.type.list_size
        found = found.values.slice(found.offset * size, len(found) * size)
        sides.append(size)
    if not sides:
        return np.zeros((count, 0), np.float32)
    values: NDArray[Any] = found.to_numpy(zero_copy_only=False).reshape(count, *sides)
    if valid.all():
        return values
    # Behind a null lies anything.
    return np.where(valid.reshape(-1, *[1] * len(sides)), values, values.dtype.type(0))


def pieces(batches: Iterable[Any]) -> Iterator[Any]:
    """The rows of each source as a table, from batches of rows: the first of a source is window 0."""
    import pyarrow

    held: list[Any] = []
    for batch in batches:
        table = pyarrow.Table.from_batches([batch])
        begin = 0
        for first in np.flatnonzero(table["window"].to_numpy() == 0).tolist():
            held.append(table.slice(begin, first - begin))
            whole = pyarrow.concat_tables(held)
            if len(whole):
                yield whole
            held, begin = [], first
        held.append(table.slice(begin))
    if held:
        yield pyarrow.concat_tables(held)
