"""Readers: from the folder of a data set, as people have it, to labelled items and their official splits."""

from avfeat.datasets import Columns
from avfeat.evaluation.readers.ave import Ave, read_ave
from avfeat.evaluation.readers.esc50 import read_esc50
from avfeat.evaluation.readers.hmdb51 import read_hmdb51
from avfeat.evaluation.readers.kinetics_sounds import read_kinetics_sounds
from avfeat.evaluation.readers.labelled import read_labelled
from avfeat.evaluation.readers.ucf101 import read_ucf101
from avfeat.evaluation.readers.vggsound import read_vggsound

__all__ = [
    "Ave",
    "Columns",
    "read_ave",
    "read_esc50",
    "read_hmdb51",
    "read_kinetics_sounds",
    "read_labelled",
    "read_ucf101",
    "read_vggsound",
]
