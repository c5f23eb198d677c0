"""The packages of an extra: there, or a sentence that says how to get them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from avfeat.errors import BackendError

_EXTRAS = {"matplotlib": "eval", "PIL": "eval", "sklearn": "eval"}
"""Those that another extra than ``train`` brings."""


@contextmanager
def training_packages() -> Iterator[None]:
    """Imports in the block may need the extra ``train``, and for pictures ``eval``.

    Raises:
        BackendError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "a package").partition(".")[0]
        extra = _EXTRAS.get(name, "train")
        raise BackendError(f"{name} is not installed; run: pip install 'avfeat[{extra}]'") from error
