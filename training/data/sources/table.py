"""A CSV with one clip a row: file, and where there are such columns, label and group; filters by column."""

from __future__ import annotations

from pathlib import Path

from avfeat.datasets import Columns, CsvTable, read_table
from avfeat.datasets.table import USUAL
from avfeat.errors import ArgumentError, DatasetError
from avfeat.suggest import suggestion
from avfeat.training.data.sources.address import Address
from avfeat.training.data.sources.item import Listing, listing, to_item


def table_items(address: Address) -> Listing:
    """The rows that all filters keep.

    ``root=`` is the folder of the files: the CSV's own by default, or the one beside it that is called like it.
    ``file=``, ``label=`` and ``group=`` name columns; any other option is a column and the value that it must have.

    Raises:
        ArgumentError: a column that is not there or is there twice, or a value that no row has.
        DatasetError: a CSV that cannot be read, or no row of it names a file.
    """
    path = Path(address.path)
    table = read_table(path)
    columns = Columns(**{role: address.options.get(role) for role in USUAL})
    files = table.files(columns, _filters(address, table), _root(address, path))
    if not files:
        raise DatasetError(f"{path}: no row names a file; fill the column, or name another one: file=COLUMN.")
    return listing([to_item(file) for file in files])


def _filters(address: Address, table: CsvTable) -> dict[str, str]:
    """The options that are columns."""
    filters = {key: value for key, value in address.options.items() if key not in ("root", *USUAL)}
    for key in filters:
        if key not in table.header:
            known = ["root", *USUAL, *filter(None, table.header)]
            raise ArgumentError(f"{address.text}: the CSV has no column {key!r}; {suggestion(key, known)}")
    return filters


def _root(address: Address, path: Path) -> Path | None:
    """The folder that the option names."""
    if "root" not in address.options:
        return None
    root = path.parent / address.options["root"]
    if not root.is_dir():
        raise ArgumentError(f"{address.text}: the folder {root} is not there; give another root=.")
    return root
