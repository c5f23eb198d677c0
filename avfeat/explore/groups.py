"""The colours of files: by folder, and by the labels of a CSV."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from avfeat.datasets.table import read_table
from avfeat.errors import ArgumentError
from avfeat.index.collection import Collection
from avfeat.index.sheet import place_of
from avfeat.writers.lance import file_key

NO_LABEL = "no label"


def folders_of(places: Sequence[Path]) -> list[str]:
    """Of each file its folder, seen from the one that all have in common."""
    # Not resolved: a link has the name that it has where it lies.
    folders = [os.path.abspath(place.parent) for place in places]  # noqa: PTH100
    try:
        common = os.path.commonpath(folders)
    except ValueError:
        # On several drives.
        return folders
    return [Path(os.path.relpath(folder, common)).as_posix() for folder in folders]


def labels_of(path: Path, collection: Collection) -> list[str]:
    """Of each file the label that a CSV with a header gives it, by path, or else by the name of the file alone.

    Raises:
        ArgumentError: the CSV lacks a column for the file or the label, or names none of the files.
        DatasetError: it cannot be read.
    """
    rows = [row for row in read_table(path).files(labelled=True) if row.label is not None]
    by_path = {file_key(str(row.path)): str(row.label) for row in rows}
    names = Counter(row.path.name for row in rows)
    by_name = {row.path.name: str(row.label) for row in rows if names[row.path.name] == 1}
    places = [place_of(place, collection.path) for place in collection.places]
    ours = Counter(place.name for place in places)
    found = [
        by_path.get(file_key(str(place))) or (by_name.get(place.name) if ours[place.name] == 1 else None)
        for place in places
    ]
    if not any(found):
        raise ArgumentError(
            f"{path}: names none of the {len(places)} files of {collection.path}, such as {places[0]}; write their "
            "paths, as seen from the CSV, or their names into its column file."
        )
    return [label or NO_LABEL for label in found]
