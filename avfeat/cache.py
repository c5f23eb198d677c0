"""Where avfeat keeps what it can make again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """The folder of a kind of data (``evaluation``, ``prepared``), in ``AVFEAT_CACHE`` or else the user's cache."""
    named = os.environ.get("AVFEAT_CACHE")
    return (Path(named) if named else _users()) / kind


def _users() -> Path:
    """As the package platformdirs has it, which a runtime does without."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(base) / "avfeat" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "avfeat"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avfeat"
