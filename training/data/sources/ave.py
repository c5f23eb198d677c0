"""The AVE data set as its authors publish it (Tian et al., ECCV 2018), and folders in the same layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avfeat.errors import ArgumentError
from avfeat.media.source import is_special
from avfeat.training.data.sources.address import Address
from avfeat.training.data.sources.item import Item, Listing, is_media, listing
from avfeat.training.data.sources.media import FileMedia
from avfeat.training.suggest import suggestion

ANNOTATIONS = "Annotations.txt"
SPLITS = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}
VIDEO_FOLDERS = ("AVE", "AVE_video", "data", ".")
_FIELDS = 5


def text_folder(root: Path) -> Path | None:
    """Where the annotations of an AVE root lie: in it or in its ``data``; None for any other folder."""
    return next((folder for folder in (root, root / "data") if (folder / ANNOTATIONS).is_file()), None)


def ave_items(address: Address) -> Listing:
    """Each annotated video once, in the order of the file; one that is not on disk is a failure later on.

    45 of AVE's videos are annotated under two classes or more: the last one counts, as in OGM-GE's loader.

    Raises:
        ArgumentError: an unknown split, a text file that is missing or no annotations.
    """
    address.check_options(("split",), "an AVE root")
    root = Path(address.path)
    folder = text_folder(root)
    assert folder is not None
    split = address.options.get("split")
    if split is not None and split not in SPLITS:
        raise ArgumentError(f"{address.text}: AVE has no split {split!r}; {suggestion(split, SPLITS)}")
    labels = dict(_annotations(folder / (ANNOTATIONS if split is None else SPLITS[split])))
    videos = _videos(root)
    return listing(
        [Item(f"ave/{id_}", FileMedia(_video(root, videos, id_)), label) for id_, label in labels.items()]
    )


def _annotations(path: Path) -> Iterator[tuple[str, str]]:
    """Identifier and category of each line; some copies begin with a line of names."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ArgumentError(f"{path}: the annotations cannot be read ({why}).") from error
    for number, line in enumerate(lines, 1):
        fields = line.split("&")
        if not line.strip() or (number == 1 and fields[0] == "Category"):
            continue
        if len(fields) != _FIELDS:
            raise ArgumentError(f"{path}, line {number}: not Category&VideoID&Quality&StartTime&EndTime: {line!r}.")
        yield fields[1], fields[0]


def _videos(root: Path) -> dict[str, Path]:
    """The media files of the folders that copies of AVE keep them in, by identifier; the first folder counts."""
    found: dict[str, Path] = {}
    for name in VIDEO_FOLDERS:
        folder = root / name
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if is_media(path) and not is_special(path):
                    found.setdefault(path.stem, path)
    return found


def _video(root: Path, videos: dict[str, Path], identifier: str) -> Path:
    return videos.get(identifier, root / VIDEO_FOLDERS[0] / f"{identifier}.mp4")
