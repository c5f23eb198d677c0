"""Media whose decoder takes its process with it."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Dying:
    """Stands in for a file that crashes FFmpeg."""

    name: str = "dying.mp4"

    def stamp(self) -> None:
        return None

    def digest(self) -> bytes:
        os._exit(9)
