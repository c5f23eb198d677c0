"""Sort a phone's videos into folders: by what is alike, or by the classes of `avfeat classify fit`.

    pip install 'avfeat[cpu,eval]'
    python examples/sort_videos.py DCIM/ --dry-run
    python examples/sort_videos.py DCIM/ --classifier model.onnx

Groups go to DCIM/group-1, DCIM/group-2, ...; what is like no other, or of no sure class, stays. No file is
overwritten or lost: a name that is taken gets a number.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.cluster import AgglomerativeClustering

import avfeat

SUFFIXES = {".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mts", ".webm"}


def groups(found: list[avfeat.Embedding], apart: float) -> list[str | None]:
    """A folder for each video: those whose cosine distance is below ``apart`` on average are of one group."""
    rows = np.stack([one.pooled() for one in found]).astype(float)
    # What all videos share says nothing: each number counts by how it differs between them.
    rows = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-6)
    cluster = AgglomerativeClustering(None, metric="cosine", linkage="average", distance_threshold=apart)
    labels = cluster.fit_predict(rows).tolist()
    order = [label for label, count in Counter(labels).most_common() if count > 1]
    return [f"group-{order.index(label) + 1}" if label in order else None for label in labels]


def classes(found: list[avfeat.Embedding], model: str, sure: float) -> list[str | None]:
    """A folder for each video: its class, without signs that the name of a folder cannot have."""
    with avfeat.load_classifier(model) as classifier:
        said = [classifier.predict(one) for one in found]
    folders = [re.sub(r"[^\w .-]+", "-", one.label).strip(" .-") or "class" for one in said]
    return [folder if one.probability >= sure else None for folder, one in zip(folders, said, strict=True)]


def move(source: Path, folder: Path) -> Path:
    """Move a file into a folder of the same disk, under the first name that is free."""
    folder.mkdir(exist_ok=True)
    number, target = 1, folder / source.name
    while True:
        try:
            target.touch(exist_ok=False)  # ours from now on, whoever else writes there
            return source.replace(target)
        except FileExistsError:
            number += 1
            target = folder / f"{source.stem} ({number}){source.suffix}"


def main() -> None:
    """Sort a folder, or say what would be moved."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--classifier", metavar="MODEL", help="of avfeat classify fit; default: by what is alike")
    parser.add_argument(
        "--sure", type=float, default=0.5, help="probability of a class from which a video is moved"
    )
    parser.add_argument(
        "--apart", type=float, default=0.7, help="cosine distance, 0 to 2, from which videos differ"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be moved, and move nothing")
    asked = parser.parse_args()
    paths = sorted(path for path in asked.folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    found: dict[Path, avfeat.Embedding] = {}
    with avfeat.load() as encoder:
        for path, one in zip(paths, encoder.embed_many(paths, isolate=True), strict=True):
            if isinstance(one, avfeat.Embedding):
                found[path] = one
            else:
                print(f"stays: {one.message}", file=sys.stderr)
    if len(found) < 2:
        sys.exit(f"{asked.folder}: two videos at least are needed to sort.")
    rows = list(found.values())
    chosen = classes(rows, asked.classifier, asked.sure) if asked.classifier else groups(rows, asked.apart)
    for path, name in zip(found, chosen, strict=True):
        if name is not None:
            target = asked.folder / name / path.name if asked.dry_run else move(path, asked.folder / name)
            print(f"{path.name!r} -> {str(target)!r}")


if __name__ == "__main__":
    try:
        main()
    except avfeat.AvfeatError as error:
        sys.exit(f"error: {error}")
