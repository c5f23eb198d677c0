"""Any labelled files: a folder with a sub-folder for each class, a CSV with a row for each file, or AVE."""

from __future__ import annotations

from pathlib import Path

from avfeat.datasets import Columns, ave_folder, read_folder, read_table
from avfeat.errors import ArgumentError, DatasetError
from avfeat.evaluation.dataset import Dataset
from avfeat.evaluation.readers.ave import read_ave


def read_labelled(data: Path, columns: Columns | None = None) -> Dataset:
    """Read a folder (the class is the first sub-folder), a CSV with a header, or a folder with AVE's text files.

    Of AVE, train and test list come along, without the train rows of videos that are in val or test.

    The files of a CSV lie beside it, or in the folder beside it that is called like it. Files without a label are
    left out.

    Raises:
        DatasetError: nothing labelled is there, or the CSV cannot be read.
        MediaError: a folder cannot be read.
        ArgumentError: a column that the CSV does not have, or columns for a folder.
    """
    columns = columns or Columns()
    if data.is_dir():
        if columns != Columns():
            raise ArgumentError(f"{data}: is a folder and has no columns; name a CSV, or drop the columns.")
        if ave_folder(data) is not None:
            return read_ave(data).dataset("dedupe")
        found = read_folder(data)
    elif data.is_file():
        found = read_table(data).files(columns, labelled=True)
    else:
        raise DatasetError(f"{data}: no such file or folder; name a CSV, or a folder with a sub-folder a class.")
    dataset = Dataset.from_files(data.name, found)
    if not dataset.items:
        raise DatasetError(f"{data}: holds no labelled file; a class is a sub-folder, or a field of a CSV's row.")
    return dataset
