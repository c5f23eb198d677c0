"""The data sets that are read from a folder by name: one line each, for training and for evaluation alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avfeat.datasets.esc50 import read_esc50
from avfeat.datasets.hmdb51 import read_hmdb51
from avfeat.datasets.labelled import LabelledFile
from avfeat.datasets.ucf101 import read_ucf101
from avfeat.datasets.vggsound import read_vggsound
from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion


@dataclass(frozen=True)
class DatasetReader:
    """A data set by name.

    Attributes:
        name: of ``avfeat eval NAME FOLDER`` and of DATA, ``FOLDER?dataset=NAME``.
        title: as its authors write it.
        read: its files, from the folder that holds it; raises ``DatasetError`` for what is missing or malformed.
        protocol: how ``avfeat eval`` splits it, for the help.
        refit: whether val belongs to train: it chooses C, and then both are fitted.
    """

    name: str
    title: str
    read: Callable[[Path], Sequence[LabelledFile]]
    protocol: str
    refit: bool = False


READERS = (
    DatasetReader("esc50", "ESC-50", read_esc50, "audio, mean over the five official folds", refit=True),
    DatasetReader("ucf101", "UCF101", read_ucf101, "mean over the official splits"),
    DatasetReader("hmdb51", "HMDB51", read_hmdb51, "mean over the official splits"),
    DatasetReader("vggsound", "VGGSound", read_vggsound, "the official split"),
)


def find_reader(name: str) -> DatasetReader:
    """The reader of a data set.

    Raises:
        ArgumentError: none has this name.
    """
    found = next((reader for reader in READERS if reader.name == name), None)
    if found is None:
        known = [reader.name for reader in READERS]
        raise ArgumentError(f"There is no data set {name!r}; {suggestion(name, known)}")
    return found
