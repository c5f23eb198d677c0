"""From data sets as people have them (``avfeat.datasets``) to labelled items and folds."""

from avfeat.datasets import Columns
from avfeat.evaluation.readers.ave import Ave, read_ave
from avfeat.evaluation.readers.labelled import read_labelled
from avfeat.evaluation.readers.named import read_dataset, read_kinetics_sounds

__all__ = ["Ave", "Columns", "read_ave", "read_dataset", "read_kinetics_sounds", "read_labelled"]
