"""Colours of files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from collections_made import make_collection

from avfeat import ArgumentError
from avfeat.explore.groups import folders_of, labels_of


def test_folders_are_seen_from_the_one_in_common() -> None:
    assert folders_of([Path("/x/a/1.mp4"), Path("/x/a/b/2.mp4"), Path("/x/c/3.mp4")]) == ["a", "a/b", "c"]
    assert folders_of([Path("/x/1.mp4"), Path("/x/2.mp4")]) == [".", "."]


def test_labels_are_found_by_path_or_by_name(tmp_path: Path) -> None:
    names = ["in/a.mp4", "in/b.mp4", "other/b.mp4", "in/c.mp4"]
    collection = replace(make_collection(names), places=tuple(tmp_path / name for name in names))
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nin/a.mp4,dog\nin/b.mp4,cat\nc.mp4,bird\nnowhere.mp4,fish\n")
    # Two files are called b.mp4: only the one whose path is given has a label.
    assert labels_of(table, collection) == ["dog", "cat", "no label", "bird"]


def test_a_table_that_names_nothing_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nx.mp4,dog\n")
    with pytest.raises(
        ArgumentError, match=r"labels\.csv: names none of the 1 files of made\.lance, such as a\.mp4"
    ):
        labels_of(table, make_collection(["a.mp4"]))
    table.write_text("file,colour\na.mp4,red\n")
    with pytest.raises(ArgumentError, match="no column label"):
        labels_of(table, make_collection(["a.mp4"]))
