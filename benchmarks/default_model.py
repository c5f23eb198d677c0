"""How the model that ships was made, and what it is worth: the figures of its card.

    python benchmarks/default_model.py lists CLIPS.csv FOLDER       # what is trained on, and what is held out
    avfeat train FOLDER/train.txt -o FOLDER/run --recipe mini
    python benchmarks/default_model.py measure FOLDER BUNDLE        # every figure of the card, as JSON

CLIPS.csv has the columns ``file source class train`` beside the clips.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import typer

app = typer.Typer(add_completion=False, help=__doc__)

LIPS = "filyp/mcgurk_task"
"""One speaker, syllables with matched and mismatched sound: kept whole for the measurement that it was made for."""

WORLD = "synthetic:ave?videos=1000&seed=0"


def held_out(rows: list[dict[str, str]]) -> set[str]:
    """A third of the labelled sources: every third one in the order of their names' hashes."""
    labelled = {row["source"] for row in rows if row["train"] == "yes" and row["class"]}
    return set(sorted(labelled, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[2::3])


@app.command()
def lists(clips: Path, folder: Path) -> None:
    """Write which clips are trained on, and which are kept for measuring: by source, never by clip."""
    with clips.open(newline="") as file:
        rows = list(csv.DictReader(file))
    held = held_out(rows)
    inside = [row for row in rows if row["train"] == "yes" and row["source"] not in held | {LIPS}]
    outside = [row for row in rows if row["train"] == "yes" and row["source"] in held]
    kept = [row for row in rows if row["train"] == "no" and row["source"] != LIPS]
    parts = {
        "train": inside,
        "labelled": [row for row in outside if row["class"]],
        "unseen": outside + kept,
        "lips": [row for row in rows if row["source"] == LIPS],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["file", "source", "class", "label", "note"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows({**row, "file": str((clips.parent / _inside(clips, row)).resolve())} for row in part)
        sources = len({row["source"] for row in part})
        typer.echo(
            f"{name:9} {len(part):4d} clips of {sources} sources, {sum(float(r['seconds']) for r in part):.0f} s"
        )
    (folder / "train.txt").write_text(f"train.csv?label=class&group=source\n{WORLD}&split=train\n")


def _inside(clips: Path, row: dict[str, str]) -> Path:
    """Files lie beside the table, or in a folder of its name."""
    beside = Path(row["file"])
    return beside if (clips.parent / beside).exists() else Path(clips.stem) / beside


if __name__ == "__main__":
    app()
