"""The packages of an extra: there, or a sentence that says how to get them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from avfeat.errors import BackendError

_OF_EVAL = ("matplotlib", "PIL", "sklearn")
"""Packages of the extra ``eval``, which commands of other extras need for figures and probes."""


@contextmanager
def extra_packages(extra: str) -> Iterator[None]:
    """Imports in the block may need packages of ``extra``, or of ``eval``.

    Raises:
        BackendError: one is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "a package").partition(".")[0]
        found = "eval" if name in _OF_EVAL else extra
        raise BackendError(f"{name} is not installed; run: pip install 'avfeat[{found}]'") from error


def check_eval() -> None:
    """Raise for what is missing before any work: an evaluation embeds for minutes first.

    Raises:
        BackendError: scikit-learn is not installed.
    """
    with extra_packages("eval"):
        import sklearn  # noqa: F401
