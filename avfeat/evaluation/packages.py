"""The packages of the extra ``eval``: there, or a sentence that says how to get them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from avfeat.errors import BackendError


@contextmanager
def extra_packages(extra: str = "eval") -> Iterator[None]:
    """Imports in the block may need packages of ``extra``.

    Raises:
        BackendError: one is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "a package").partition(".")[0]
        raise BackendError(f"{name} is not installed; run: pip install 'avfeat[{extra}]'") from error


def check_packages() -> None:
    """Raise for what is missing before any work: an evaluation embeds for minutes first.

    Raises:
        BackendError: scikit-learn is not installed.
    """
    with extra_packages():
        import sklearn  # noqa: F401
