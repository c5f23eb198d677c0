"""Time-stamped audio and video embeddings of any video.

>>> import avfeat
>>> embedding = avfeat.load().embed("video.mp4")  # doctest: +SKIP

The public names are loaded when they are first used, so that ``import avfeat`` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING

from avfeat.version import __version__

if TYPE_CHECKING:
    from avfeat.bundle import Bundle
    from avfeat.classify.fit import fit_classifier
    from avfeat.classify.model import Classifier, load_classifier
    from avfeat.classify.prediction import Prediction
    from avfeat.classify.report import FittedClassifier
    from avfeat.embedding import Embedding, Failure, WindowEmbedding
    from avfeat.encoder import Encoder, load
    from avfeat.errors import ArgumentError, AvfeatError, BackendError, BundleError, MediaError, OutputError
    from avfeat.index.duplicates import duplicates
    from avfeat.index.search import search
    from avfeat.reading import read, read_many

__all__ = [
    "ArgumentError",
    "AvfeatError",
    "BackendError",
    "Bundle",
    "BundleError",
    "Classifier",
    "Embedding",
    "Encoder",
    "Failure",
    "FittedClassifier",
    "MediaError",
    "OutputError",
    "Prediction",
    "WindowEmbedding",
    "__version__",
    "duplicates",
    "fit_classifier",
    "load",
    "load_classifier",
    "read",
    "read_many",
    "search",
]

_HOMES = {
    "Bundle": "bundle",
    "Classifier": "classify.model",
    "FittedClassifier": "classify.report",
    "Prediction": "classify.prediction",
    "fit_classifier": "classify.fit",
    "load_classifier": "classify.model",
    "Embedding": "embedding",
    "Failure": "embedding",
    "WindowEmbedding": "embedding",
    "Encoder": "encoder",
    "load": "encoder",
    "read": "reading",
    "read_many": "reading",
    "duplicates": "index.duplicates",
    "search": "index.search",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"avfeat.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
