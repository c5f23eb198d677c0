"""A folder of media files; a file's class is the sub-folder that it lies in."""

from __future__ import annotations

from pathlib import Path

from avfeat.datasets.files import media_below
from avfeat.datasets.labelled import LabelledFile


def read_folder(root: Path) -> list[LabelledFile]:
    """Every media file below a folder, hidden ones left out, in a fixed order.

    The label is the first sub-folder on the way to a file; a file that lies in ``root`` itself has none.

    Raises:
        MediaError: a folder cannot be read.
    """
    found = [(path, path.relative_to(root)) for path in media_below(root)]
    return [
        LabelledFile(relative.as_posix(), path, relative.parts[0] if len(relative.parts) > 1 else None)
        for path, relative in found
    ]
