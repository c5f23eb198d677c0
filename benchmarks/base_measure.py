"""What the pair ``base`` is worth on real clips that nothing was trained on: the figures of its card.

    python benchmarks/base_measure.py CLIPS.csv FOLDER dev --bundle base=BUNDLE --bundle mini=BUNDLE --mn04 FILE.pt
    python benchmarks/base_measure.py CLIPS.csv FOLDER "last look" ...        # once, at the end

Which clips are of which part says ``base-split.csv``. Everything is the project's own evaluation, of the files
that ship, between sources, never between clips of one; differences are paired, with intervals over sources. Other
figures of the card come from ``avfeat eval``, and from ``default_model.py``, for which the lists are written, too.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from base import SPLIT
from default_model import ACROSS, LIPS, _lips, _markdown, _robustness, _synchrony
from numpy.typing import NDArray
from published import NAME, Fitted, Linear, PublishedEmbedder

import avfeat
from avfeat.cli.printing import progress
from avfeat.evaluation import (
    BundleEmbedder,
    Dataset,
    Embedder,
    Handcrafted,
    Store,
    evaluate_knn,
    evaluate_retrieval,
    readers,
    tables,
)
from avfeat.evaluation.classification import VIDEO, classify
from avfeat.evaluation.features import collect, of_file
from avfeat.evaluation.folds import group_folds
from avfeat.evaluation.interval import bootstrap
from avfeat.evaluation.nearest import vote

NEIGHBOURS = 5
FOLDS = 5
COMPONENTS = (64, 32)
"""Principal components and canonical variates of the linear map between the published networks."""


def main(
    clips: Path,
    folder: Path,
    part: str,
    bundle: Annotated[
        list[str], typer.Option(metavar="NAME=BUNDLE", help="The first is what the rest is compared to.")
    ],
    mn04: Annotated[Path, typer.Option(help="Weights of mn04_as.")],
) -> None:
    """Print every figure of one part as Markdown."""
    lists(clips, folder)
    store = Store(folder / "embeddings")
    with ExitStack() as stack:
        embedders: list[Embedder] = []
        encoders = {}
        for one in bundle:
            name, _, path = one.partition("=")
            encoders[name] = stack.enter_context(avfeat.load(path))
            embedders.append(BundleEmbedder(encoders[name], name))
        raw = PublishedEmbedder(mn04)
        embedders += [_fitted(raw, folder, store, COMPONENTS[0]), Handcrafted(embedders[0].seconds)]
        labelled = readers.read_labelled(folder / f"{part}.csv", readers.Columns(label="class", group="source"))
        right = {"kNN": _knn(labelled, embedders, store), "linear probe": _probe(labelled, embedders, store)}
        for what, rows in right.items():
            _compare(what, rows, [item.group for item in labelled.items])
        every = readers.read_labelled(folder / f"{part}-all.csv", readers.Columns(label="file", group="source"))
        _retrieve(every, embedders, [_fitted(raw, folder, store, one) for one in COMPONENTS[1:]], store)
        for name, encoder in encoders.items():
            _of_one(name, encoder, folder, part)


def lists(clips: Path, folder: Path) -> None:
    """Write each part's clips, and those of them that are labelled."""
    with SPLIT.open(newline="") as file:
        parts = {row["file"]: row["part"] for row in csv.DictReader(file)}
    with clips.open(newline="") as file:
        rows = [row | {"file": str(_beside(clips, row["file"]))} for row in csv.DictReader(file)]
    folder.mkdir(parents=True, exist_ok=True)
    for part in sorted(set(parts.values())):
        found = [row for row in rows if parts[Path(row["file"]).name] == part]
        for name, chosen in ((part, [row for row in found if row["class"]]), (f"{part}-all", found)):
            with (folder / f"{name}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, ["file", "source", "class"], extrasaction="ignore")
                writer.writeheader()
                writer.writerows(chosen)


def _of_one(name: str, encoder: avfeat.Encoder, folder: Path, part: str) -> None:
    """What ``default_model.py`` measures of one model, on the clips of a part."""
    own = folder / "one" / part
    own.mkdir(parents=True, exist_ok=True)
    rows = (folder / f"{part}-all.csv").read_text().splitlines(keepends=True)
    (own / "unseen.csv").write_text("".join(rows))
    lips = [row for row in rows if f",{LIPS}," in row]
    (own / "lips.csv").write_text("".join([rows[0], *lips]))
    typer.echo(f"### {name}\n")
    _synchrony(own, encoder)
    if lips:
        _lips(own, encoder)
    _robustness(own, encoder)


def _beside(clips: Path, name: str) -> Path:
    path = clips.parent / name
    return (path if path.exists() else clips.parent / clips.stem / name).resolve()


def _fitted(raw: PublishedEmbedder, folder: Path, store: Store, dimensions: int) -> Fitted:
    """The published networks, standardised and mapped as the means of the training clips say."""
    items = readers.read_labelled(folder / "train-all.csv", readers.Columns(label="file", group="source")).items
    files = (item.file for item in items)
    found = collect(files, raw, store, of_file, hop=raw.seconds, start=0.0, progress=progress)
    both = [one for one in found.features.values() if one.has_video and one.has_audio]
    sides = [np.concatenate([getattr(one, side) for one in both]).astype(np.float64) for side in ("video", "audio")]
    return Fitted(raw, Linear.fitted(*sides, dimensions, dimensions), store)


def _knn(data: Dataset, embedders: Sequence[Embedder], store: Store) -> dict[str, NDArray[np.bool_]]:
    for neighbours in (NEIGHBOURS, 1):
        found = evaluate_knn(data, embedders, store, neighbours, progress=progress)
        _markdown(
            f"kNN, {neighbours} neighbour(s): {found.asked} clips of {found.groups} sources",
            tables.knn_table(found),
        )
    labels = np.unique([item.label for item in data.items], return_inverse=True)[1].astype(np.int64)
    groups = np.unique([item.group for item in data.items], return_inverse=True)[1].astype(np.int64)
    right = {}
    for one in embedders:
        found = collect(data.files, one, store, of_file, hop=one.seconds, start=0.0, progress=progress)
        features = [found.features[item.file] for item in data.items]
        sides = [
            np.concatenate([getattr(each, side) for each in features]).astype(np.float64)
            for side in ("video", "audio")
        ]
        lengths = [np.linalg.norm(side, axis=1, keepdims=True) for side in sides]
        rows = np.concatenate(
            [side / np.where(n > 0, n, 1) for side, n in zip(sides, lengths, strict=True)], axis=1
        )
        right[one.name] = vote(rows / np.sqrt(2), labels, groups, NEIGHBOURS)
    return right


def _probe(data: Dataset, embedders: Sequence[Embedder], store: Store) -> dict[str, NDArray[np.bool_]]:
    """A linear probe, cross-validated by source; C is chosen on the fold that is tested next."""
    # As the published figures were made.
    folds = group_folds(data.items, FOLDS, by_class=False)
    found = classify(replace(data, folds=folds), embedders, store, VIDEO, progress=progress)
    _markdown(f"Linear probe, {FOLDS} folds of sources: {found.used} clips", tables.classification_table(found))
    order = [place for fold in folds for place in fold.test]
    right = {}
    for entry in found.entries:
        hits = np.zeros(len(data.items), dtype=np.bool_)
        for place, said in zip(order, entry.scores["av"].predicted, strict=True):
            hits[place] = said[0] == data.items[place].label
        right[entry.name] = hits
    return right


def _compare(what: str, right: dict[str, NDArray[np.bool_]], groups: Sequence[str]) -> None:
    """The first one's lead over each other one, on the same clips."""
    first, *others = right
    rows = []
    for other in others:
        lead = right[first].astype(np.float64) - right[other]
        low, high = bootstrap(lead, groups)
        rows.append((other, f"{100 * lead.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"))
    _markdown(f"{what}, audio + video: {first} against", (("", "points (95 % interval)"), rows))


def _retrieve(data: Dataset, embedders: Sequence[Embedder], fewer: Sequence[Fitted], store: Store) -> None:
    sharing = [one for one in embedders if one.name != Handcrafted.name]
    found = evaluate_retrieval(data, sharing, store, progress=progress)
    title = f"Retrieval among {found.used} clips of {found.groups} sources; {NAME} by {COMPONENTS[0]} variates"
    _markdown(title, tables.retrieval_table(found, ACROSS))
    for one in fewer:
        found = evaluate_retrieval(data, [one], store, progress=progress)
        _markdown(f"The same; {NAME} by {one.key[1]}", tables.retrieval_table(found, ACROSS))


if __name__ == "__main__":
    typer.run(main)
