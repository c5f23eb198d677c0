"""Whether what was learned on small clips holds on footage as people have it: ``base`` beside its teachers.

    python benchmarks/base_sizes.py CLIPS FOLDER --mn04 FILE.pt [--bundle NAME=BUNDLE]...

``base`` was made with clips of 128 px and sound of 16 kHz. Of every clip in CLIPS a copy of that size, and one of
that sound, goes to FOLDER. Of each model: how often a window's original is the nearest of all windows of all
originals, by cosine of its features, and the share of its five nearest windows of other clips that both have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from default_model import Change, alter
from numpy.typing import NDArray
from published import PublishedEmbedder

import avfeat
from avfeat.embedding import Embedding, Failure
from avfeat.evaluation import BundleEmbedder, Embedder, Handcrafted

NEIGHBOURS = 5
SMALL = "scale='if(gt(iw,ih),-2,128)':'if(gt(iw,ih),128,-2)'"
COPIES = {
    "video": ("short side 128 px", Change(video=SMALL)),
    "audio": ("16 kHz", Change(audio="aresample=16000")),
}

Rows = NDArray[np.float64]


def main(
    clips: Path,
    folder: Path,
    mn04: Annotated[Path, typer.Option(help="Weights of mn04_as.")],
    bundle: Annotated[list[str], typer.Option(metavar="NAME=BUNDLE")] = ["base=base"],  # noqa: B006
) -> None:
    """Print a row for each model."""
    files = sorted(clips.iterdir())
    for modality, (_, change) in COPIES.items():
        for file in files:
            if not _copy(folder, modality, file).exists():
                alter(file, _copy(folder, modality, file), change)
    models: list[Embedder] = [
        BundleEmbedder(avfeat.load(path), name) for name, _, path in (one.partition("=") for one in bundle)
    ]
    models += [PublishedEmbedder(mn04), Handcrafted(models[0].seconds)]
    names = [f"{modality}: {name}, {what}" for modality, (name, _) in COPIES.items() for what in ("own", "five")]
    typer.echo("| " + " | ".join(["%", *names]) + " |\n" + "|---" * (1 + len(names)) + "|")
    for model in models:
        figures = [figure for modality in COPIES for figure in compare(model, modality, files, folder)]
        typer.echo("| " + " | ".join([model.name, *(f"{100 * figure:.1f}" for figure in figures)]) + " |")


def compare(model: Embedder, modality: str, files: Sequence[Path], folder: Path) -> tuple[float, float]:
    """How often the own window is nearest, and how much of the neighbours agrees."""
    originals = list(_rows(model, modality, files))
    copies = list(_rows(model, modality, [_copy(folder, modality, file) for file in files]))
    # A copy may end a window earlier.
    pairs = [(one[: len(other)], other[: len(one)]) for one, other in zip(originals, copies, strict=True)]
    clip = np.repeat(np.arange(len(pairs)), [len(one) for one, _ in pairs])
    one, other = (np.concatenate(rows) for rows in zip(*pairs, strict=True))
    centre = one.mean(0)
    one, other = _unit(one - centre), _unit(other - centre)
    own = (other @ one.T).argmax(1) == np.arange(len(one))
    nearest = [_nearest(rows @ rows.T, clip) for rows in (one, other)]
    shared = [len(set(left) & set(right)) / NEIGHBOURS for left, right in zip(*nearest, strict=True)]
    return float(own.mean()), float(np.mean(shared))


def _rows(model: Embedder, modality: str, files: Sequence[Path]) -> Iterator[Rows]:
    for found in model.embed_many(files, hop=model.seconds, start=0.0, workers=None):
        if isinstance(found, Failure):
            raise TypeError(found.message)
        assert isinstance(found, Embedding)
        yield getattr(found, modality)[getattr(found, f"has_{modality}")].astype(np.float64)


def _nearest(similarity: Rows, clip: NDArray[np.int64]) -> NDArray[np.int64]:
    similarity = np.where(clip[:, None] == clip, -np.inf, similarity)
    found: NDArray[np.int64] = np.argpartition(-similarity, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return found


def _unit(rows: Rows) -> Rows:
    found: Rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return found


def _copy(folder: Path, modality: str, file: Path) -> Path:
    return folder / modality / f"{file.stem}.mp4"


if __name__ == "__main__":
    typer.run(main)
