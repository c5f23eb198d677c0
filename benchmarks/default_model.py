"""How the model that ships was made, and what it is worth: the figures of its card.

    python benchmarks/default_model.py make CLIPS.csv FOLDER      # lists, training, exports; resumes
    python benchmarks/default_model.py supervised FOLDER          # the same networks with labels, to compare with
    python benchmarks/default_model.py measure FOLDER             # every figure of the card, as Markdown
    python benchmarks/default_model.py try FOLDER NAME --set steps=80 --set objective.name=vicreg    # before it

``try`` asks what a setting is worth, before ``make``: it trains without a third of the sources that ``make`` trains
on, and measures on those, so that nothing is chosen on the clips of ``measure``. CLIPS.csv has the columns ``file
source class label train note``; its files lie beside it or in a folder of its name.
"""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from supervised import train_supervised

import avfeat
from avfeat.cli.printing import progress
from avfeat.embedding import Embedding
from avfeat.evaluation import (
    BundleEmbedder,
    Dataset,
    Embedder,
    Handcrafted,
    Store,
    evaluate_ave,
    evaluate_knn,
    evaluate_retrieval,
    readers,
    tables,
)
from avfeat.evaluation.embedders import RANDOM_INIT
from avfeat.evaluation.interval import bootstrap
from avfeat.training.checkpoint import LAST, Checkpoint
from avfeat.world import plan
from avfeat.world.ave import write_ave

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)

LIPS = "filyp/mcgurk_task"
"""One speaker, syllables with matched and mismatched sound: kept whole for the measurement that it was made for."""

TRAINED_WORLD = {"videos": 1000, "seed": 0}
WORLD = "synthetic:ave?" + "&".join(f"{name}={value}" for name, value in TRAINED_WORLD.items()) + "&split=train"
OTHER_WORLD = {"videos": 560, "seed": 7}
"""Nothing of it was trained on."""
TRIED_WORLD = {"videos": 280, "seed": 8}
"""Nothing of it was trained on, and no figure of the card is of it."""

ACROSS = ("audio to video", "video to audio")
"""Where the clip itself is right, whatever it is of."""

SUPERVISED = "supervised"
"""Folder of the networks that were trained with labels."""
TAUGHT = "the same, with labels"
"""What their row of a table is called."""

_BF16 = ("--set", "precision=bf16")


def held_out(rows: list[dict[str, str]]) -> set[str]:
    """A third of the labelled sources: every third one in the order of their names' hashes."""
    return third({row["source"] for row in rows if row["train"] == "yes" and row["class"]}, 2)


def third(sources: set[str], first: int) -> set[str]:
    """Every third source from ``first`` on, in the order of their names' hashes."""
    return set(sorted(sources, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[first::3])


@app.command()
def make(
    clips: Path,
    folder: Path,
    recipe: str = "mini",
    notes: Path | None = None,
    data: str | None = None,
    steps: Annotated[list[int], typer.Option(help="Of the training, and of its warm restarts.")] = [1000, 2000],  # noqa: B006
) -> None:
    """Train on what ``lists`` says, and write the bundles ``bundle``, ``bundle-int8`` and ``random``."""
    lists(clips, folder)
    train, run = folder / "train.txt", folder / "run"
    for length in steps:
        if _done(run) < length:
            _avfeat("train", train, "-o", run, "--recipe", recipe, *_BF16, "--steps", length, "--resume")
    said = {"--notes": notes, "--data": data}
    words = [word for option, value in said.items() if value is not None for word in (option, value)]
    card = ["--licence", "CC BY-NC 4.0", *words]
    for name, source, more in (
        ("bundle", run, ["--name", "avfeat-mini", *card]),
        ("bundle-int8", run, ["--name", "avfeat-mini-int8", "--precision", "int8", *card]),
        ("random", "untrained:mini", []),
    ):
        if not (folder / name).exists():
            _avfeat("export", source, "-o", folder / name, "--calibration", train, *more)
        elif source == run and avfeat.Bundle.open(folder / name).provenance["step"] != _done(run):
            raise SystemExit(f"{folder / name}: is of another step than {run}; move it away.")


@app.command()
def supervised(folder: Path, recipe: str = "mini", steps: int = 500) -> None:
    """Train the networks of ``make`` with the labels of its clips; ``measure`` shows what they reach, too."""
    train, run, bundle = folder / "train.txt", folder / SUPERVISED / "run", folder / SUPERVISED / "bundle"
    if not _done(run):
        train_supervised(str(train), run, recipe, steps, plan(**TRAINED_WORLD))
    elif _done(run) != steps:
        raise SystemExit(f"{run}: was trained for {_done(run)} steps, not {steps}; move {run.parent} away.")
    if not bundle.exists():
        _avfeat("export", run, "-o", bundle, "--calibration", train, "--name", SUPERVISED)


def _done(run: Path) -> int:
    """How many steps a run has a checkpoint of."""
    return Checkpoint.load(run).step if (run / LAST).exists() else 0


def _avfeat(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "avfeat", *map(str, words)], check=True)


@app.command()
def lists(clips: Path, folder: Path) -> None:
    """Write which clips are trained on, and which are kept for measuring: by source, never by clip."""
    with clips.open(newline="") as file:
        rows = list(csv.DictReader(file))
    held = held_out(rows)
    inside = [row for row in rows if row["train"] == "yes" and row["source"] not in held | {LIPS}]
    outside = [row for row in rows if row["train"] == "yes" and row["source"] in held]
    seen = {row["source"] for row in inside} | {LIPS}
    kept = [row for row in rows if row["train"] == "no" and row["source"] not in seen]
    apart = third({row["source"] for row in inside}, 0)
    parts = {
        "train": inside,
        "try": [row for row in inside if row["source"] not in apart],
        "tried": [row for row in inside if row["source"] in apart],
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
        sources, seconds = len({row["source"] for row in part}), sum(float(row["seconds"]) for row in part)
        typer.echo(f"{name:9} {len(part):4d} clips of {sources} sources, {seconds:.0f} s")
    for name in ("train", "try"):
        (folder / f"{name}.txt").write_text(f"{name}.csv?label=class&group=source\n{WORLD}\n")


def _inside(clips: Path, row: dict[str, str]) -> Path:
    """Files lie beside the table, or in a folder of its name."""
    beside = Path(row["file"])
    return beside if (clips.parent / beside).exists() else Path(clips.stem) / beside


@app.command("try")
def attempt(
    folder: Path,
    name: str,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
    recipe: str = "mini",
    data: str = "try.txt",
) -> None:
    """Train with changed settings, measure on sources that are left out, and print all tries as a table."""
    own = folder / "tries" / name
    # A try measures for itself.
    settings = [word for change in ("probe.every=0", *(changes or ())) for word in ("--set", change)]
    _avfeat("train", folder / data, "-o", own / "run", "--recipe", recipe, *_BF16, *settings, "--resume")
    if not (own / "bundle").exists():
        _avfeat("export", own / "run", "-o", own / "bundle", "--calibration", folder / data)
    with avfeat.load(own / "bundle") as encoder:
        figures = _figures(folder, BundleEmbedder(encoder), Store(folder / "embeddings"))
    said = {"recipe": recipe, "data": data, "settings": changes or [], "figures": figures}
    (own / "figures.json").write_text(json.dumps(said, indent=2) + "\n")
    found = {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("tries/*/figures.json"))}
    rows = [
        (one, said["recipe"], said["data"], " ".join(said["settings"]), *_percent(said["figures"].values()))
        for one, said in found.items()
    ]
    _markdown("Tries, %", (("try", "recipe", "data", "settings", *figures), rows))


def _percent(shares: Iterable[float]) -> list[str]:
    return [f"{100 * share:.1f}" for share in shares]


def _figures(folder: Path, embedder: Embedder, store: Store) -> dict[str, float]:
    """What tries are compared by, in [0, 1]."""
    figures = {}
    made = Dataset("synthetic dataset", _made(folder / "tries" / "world", TRIED_WORLD).dataset("dedupe").items)
    found = evaluate_knn(made, [embedder], store, progress=progress)
    figures["synthetic dataset, kNN"] = found.entries[0].measures["av"][1].value
    clips = folder / "tried.csv"
    rows = readers.read_labelled(clips, readers.Columns(label="class", group="source"))
    for neighbours in (1, 5):
        found = evaluate_knn(rows, [embedder], store, neighbours, progress=progress)
        figures[f"real clips, {neighbours} neighbour(s)"] = found.entries[0].measures["av"][neighbours].value
    every = readers.read_labelled(clips, readers.Columns(label="file", group="source"))
    found = evaluate_retrieval(every, [embedder], store, progress=progress)
    for task in ACROSS:
        for rank, measure in found.entries[0].measures[task].items():
            figures[f"{task} R@{rank}"] = measure.value
    return figures


@app.command()
def measure(folder: Path, bundle: str = "bundle", random: str = "random") -> None:
    """Print every figure of the model card."""
    store = Store(folder / "embeddings")
    with ExitStack() as stack:
        encoder, untrained = (stack.enter_context(avfeat.load(folder / name)) for name in (bundle, random))
        embedders = [
            BundleEmbedder(encoder),
            BundleEmbedder(untrained, RANDOM_INIT),
            Handcrafted(encoder.bundle.seconds),
        ]
        if (taught := folder / SUPERVISED / "bundle").exists():
            embedders.append(BundleEmbedder(stack.enter_context(avfeat.load(taught)), TAUGHT))
        _world(folder, embedders, store)
        _real(folder, embedders, store)
        for name, one in (("trained", encoder), (RANDOM_INIT, untrained)):
            typer.echo(f"## {name}\n")
            _synchrony(folder, one)
            _lips(folder, one)
            _robustness(folder, one)


def _world(folder: Path, embedders: Sequence[Embedder], store: Store) -> None:
    data = _made(folder / "world", OTHER_WORLD)
    probe = evaluate_ave(data, embedders, store, "video", "dedupe", progress=progress)
    _markdown("A synthetic dataset that was not trained on: linear probe", tables.classification_table(probe))
    split = data.dataset("dedupe")
    for name, part in (
        ("its test split by its train split", split),
        ("all of it", Dataset("synthetic dataset", split.items)),
    ):
        found = evaluate_knn(part, embedders, store, progress=progress)
        _markdown(f"kNN, {name}: {found.asked} videos ask", tables.knn_table(found))


def _made(root: Path, world: dict[str, int]) -> readers.Ave:
    """A synthetic dataset, rendered the first time."""
    deque(write_ave(root, **world), maxlen=0)
    return readers.read_ave(root)


def _real(folder: Path, embedders: Sequence[Embedder], store: Store) -> None:
    labelled = readers.read_labelled(folder / "labelled.csv", readers.Columns(label="class", group="source"))
    for neighbours in (1, 5):
        found = evaluate_knn(labelled, embedders, store, neighbours, progress=progress)
        title = f"Real clips of held-out sources, {neighbours} neighbour(s): {len(labelled.items)} clips"
        _markdown(title, tables.knn_table(found))
    # The label does not matter for what is shown.
    unseen = readers.read_labelled(folder / "unseen.csv", readers.Columns(label="file", group="source"))
    # Labels trained no shared space.
    sharing = [one for one in embedders if one.name != TAUGHT]
    found = evaluate_retrieval(unseen, sharing, store, progress=progress)
    title = f"Retrieval among {len(unseen.items)} real clips that were not trained on"
    _markdown(title, tables.retrieval_table(found, ACROSS))


def _markdown(title: str, table: tables.Table) -> None:
    headers, rows = table
    lines = (headers, ("---",) * len(headers), *rows)
    typer.echo("\n".join([f"### {title}\n", *(f"| {' | '.join(line)} |" for line in lines), ""]))


def _clips(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _embedded(encoder: avfeat.Encoder, files: Sequence[Path]) -> Iterator[Embedding]:
    for found in encoder.embed_many(files):
        if isinstance(found, avfeat.Failure):
            raise SystemExit(f"{found.source}: {found.message}")
        yield found


def _synchrony(folder: Path, encoder: avfeat.Encoder) -> None:
    """How often a window's own sound is nearer to its picture than the sound of another window of the clip."""
    rows = _clips(folder / "unseen.csv")
    right, sources = [], []
    for row, found in zip(rows, _embedded(encoder, [Path(row["file"]) for row in rows]), strict=True):
        both = found.has_video & found.has_audio
        similarity = (found.video_shared @ found.audio_shared.T)[both][:, both]
        if len(similarity) < 2:
            continue
        right.append(in_step(similarity))
        sources.append(row["source"])
    low, high = bootstrap(np.array(right), sources)
    typer.echo(
        f"- Synchrony: true offset beats a shift of 2 s or more in {np.mean(right):.1%} of pairs ({low:.1%} to "
        f"{high:.1%}; chance 50 %), {len(right)} clips of {len(set(sources))} sources."
    )


def in_step(similarity: NDArray[np.float32]) -> float:
    """How often a window's own audio is nearer to its video than that of another one: of ``(windows, windows)``."""
    own = np.diag(similarity)[:, None]
    wins = (own > similarity) + 0.5 * (own == similarity)
    return float(wins[~np.eye(len(wins), dtype=bool)].mean())


def _lips(folder: Path, encoder: avfeat.Encoder) -> None:
    """Area under the curve of similarity: syllables with their own sound against those with another's."""
    rows = _clips(folder / "lips.csv")
    found = _embedded(encoder, [Path(row["file"]) for row in rows])
    scores = np.array([float((one.video_shared * one.audio_shared).sum(1).mean()) for one in found])
    # Those whose sound was exchanged are of no class.
    matched = np.array([row["class"] == "speech" for row in rows])
    first, second = scores[matched], scores[~matched]
    auc = float(((first[:, None] > second) + 0.5 * (first[:, None] == second)).mean())
    typer.echo(f"- Lips: area under the curve {auc:.2f} (chance 0.50), {len(first)} matched, {len(second)} not.")


@dataclass(frozen=True)
class Change:
    """What is done to a clip: filters of FFmpeg, and how coarsely it is encoded again."""

    video: str = "null"
    audio: str = "anull"
    crf: int = 18
    bitrate: str = "128k"


CHANGES = {
    "encoded again, coarsely (H.264 at CRF 40, AAC at 24 kbit/s)": Change(crf=40, bitrate="24k"),
    "central 80 % of the picture": Change(video="crop=iw*0.8:ih*0.8"),
    "12 dB softer": Change(audio="volume=0.25"),
    "grey": Change(video="hue=s=0"),
}


def _robustness(folder: Path, encoder: avfeat.Encoder, most: int = 80) -> None:
    """How often the original is the nearest clip of a changed copy, by cosine of the pooled features."""
    files = [Path(row["file"]) for row in _clips(folder / "unseen.csv")]
    files = files[:: -(-len(files) // most)]
    originals = [_unit(found) for found in _embedded(encoder, files)]
    for number, (name, change) in enumerate(CHANGES.items()):
        copies = [folder / "changed" / str(number) / f"{path.stem}.mp4" for path in files]
        for path, copy in zip(files, copies, strict=True):
            if not copy.exists():
                alter(path, copy, change)
        rows = np.array([_unit(found) for found in _embedded(encoder, copies)])
        similarity = rows @ np.array(originals).T
        right = similarity.argmax(1) == np.arange(len(rows))
        typer.echo(
            f"- {name}: the original is nearest for {right.mean():.0%} of {len(rows)} clips; median cosine "
            f"{np.median(np.diag(similarity)):.3f}, between different clips "
            f"{np.median(similarity[~np.eye(len(rows), dtype=bool)]):.3f}."
        )


def _unit(found: Embedding) -> NDArray[np.float32]:
    pooled = found.pooled()
    unit: NDArray[np.float32] = pooled / max(float(np.linalg.norm(pooled)), 1e-12)
    return unit


def alter(source: Path, target: Path, change: Change) -> None:
    """Write a changed copy of a clip, H.264 and AAC, with FFmpeg's program."""
    target.parent.mkdir(parents=True, exist_ok=True)
    even = "scale=trunc(iw/2)*2:trunc(ih/2)*2"
    command = ["ffmpeg", "-loglevel", "error", "-y", "-i", source, "-vf", f"{change.video},{even}"]
    command += ["-af", change.audio, "-c:v", "libx264", "-crf", str(change.crf), "-pix_fmt", "yuv420p"]
    part = target.with_name(f"part-{target.name}")
    subprocess.run([*command, "-c:a", "aac", "-b:a", change.bitrate, part], check=True)
    part.rename(target)


if __name__ == "__main__":
    app()
