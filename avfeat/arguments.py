"""Arguments of public calls, checked before any work."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from avfeat.errors import ArgumentError


def check_whole(name: str, value: Any, least: int, most: int) -> int:
    """``value`` as an int, if it is a whole number from ``least`` to ``most``.

    Raises:
        ArgumentError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise ArgumentError(f"{name} must be a whole number from {least:,} to {most:,}, not {shown(value)}.")
    return int(value)


def check_flag(name: str, value: Any) -> bool:
    """``value`` as a bool, if it is one, or 0 or 1.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(value, bool | int | np.bool_) or value not in (0, 1):
        raise ArgumentError(f"{name} must be True or False, not {shown(value)}.")
    return bool(value)


def check_path(name: str, value: Any) -> str:
    """``value`` as text, if it is a path.

    Raises:
        ArgumentError: it is not.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise ArgumentError(f"{name} must be a path, as text or a Path, not {shown(value)}.")
    return text


def is_number(value: object) -> bool:
    """Whether it is a real number; a bool, which Python takes for one, is none."""
    real = isinstance(value, int | float | np.integer | np.floating)
    return real and not isinstance(value, bool)


def shown(value: object) -> str:
    """A value in a message: short, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # an object of the caller's, or an int of more digits than Python writes
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:76]} ..."
