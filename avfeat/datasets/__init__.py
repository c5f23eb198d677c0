"""Data sets as people have them: AVE, tables, folders. Training and evaluation read them here, so they agree."""

from avfeat.datasets.ave import Annotation, AveCopy, ave_folder, open_ave
from avfeat.datasets.folder import read_folder
from avfeat.datasets.labelled import LabelledFile
from avfeat.datasets.table import Columns, CsvTable, read_table

__all__ = [
    "Annotation",
    "AveCopy",
    "Columns",
    "CsvTable",
    "LabelledFile",
    "ave_folder",
    "open_ave",
    "read_folder",
    "read_table",
]
