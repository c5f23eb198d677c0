"""An embedding from its arrays and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.embedding import Embedding
from avfeat.errors import OutputError
from avfeat.media.rules import TRACKS
from avfeat.stamp import Stamp

NAMES = frozenset(field.name for field in fields(Embedding))
TIMES = ("start", "end")
VECTORS = ("video", "audio", "video_shared", "audio_shared")


def restored(path: Path, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Embedding:
    """The embedding of ``arrays``, by their names, and of ``facts``, as ``avfeat.writers.meta`` says them.

    Raises:
        OutputError: they do not belong together.
    """
    try:
        found = Embedding(
            **{name: np.asarray(values) for name, values in arrays.items()},
            source=str(facts["source"]),
            bundle=str(facts["bundle"]),
            seconds=float(facts["seconds"]),
            hop=float(facts["hop"]),
            duration=float(facts["duration"]),
            damaged=bool(facts["damaged"]),
            damage=tuple(map(str, facts["damage"])),
            choice={name: int(facts[name]) for name in TRACKS if name in facts},
            stamp=Stamp.from_json(facts["input"]) if "input" in facts else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise not_whole(path) from error
    if not len(found) or any(len(values) != len(found) for values in arrays.values()):
        raise not_whole(path)
    return found


def derived(source: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """What the rows alone say: of no bundle, and the media end with the last window."""
    start, end = arrays["start"], arrays["end"]
    seconds = float(end[0] - start[0])
    hop = float(start[1] - start[0]) if len(start) > 1 else seconds
    unknown = {"bundle": "", "damaged": False, "damage": []}
    return {"source": source, "seconds": seconds, "hop": hop, "duration": float(end[-1]), **unknown}


def not_whole(path: Path) -> OutputError:
    """The error for a file that does not hold what it should."""
    return OutputError(f"{path}: is not what avfeat embed writes, or not all of it; embed its media again.")
