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
    "Embedding",
    "Encoder",
    "Failure",
    "MediaError",
    "OutputError",
    "WindowEmbedding",
    "__version__",
    "duplicates",
    "load",
    "read",
    "read_many",
    "search",
]

_HOMES = {
    "Bundle": "bundle",
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
