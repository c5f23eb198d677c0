"""The end of a sentence about a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(given: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` for a name close to ``given``, else all ``known`` ones."""
    names = list(known)
    close = difflib.get_close_matches(given, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(names)}." if names else "there are none."
