"""Data sets as people have them: AVE, tables, folders, and those of ``registry``, by name.

Training and evaluation read them here, so they agree.
"""

from avfeat.datasets.ave import Annotation, AveCopy, ave_folder, open_ave
from avfeat.datasets.folder import read_folder
from avfeat.datasets.labelled import SPLITS, LabelledFile, Split
from avfeat.datasets.registry import READERS, DatasetReader, find_reader
from avfeat.datasets.table import Columns, CsvTable, read_table

__all__ = [
    "READERS",
    "SPLITS",
    "Annotation",
    "AveCopy",
    "Columns",
    "CsvTable",
    "DatasetReader",
    "LabelledFile",
    "Split",
    "ave_folder",
    "find_reader",
    "open_ave",
    "read_folder",
    "read_table",
]
