"""Copies of clips, as people make them: does ``avfeat duplicates`` find them, ``avfeat search`` their originals?

    python benchmarks/copies.py make CLIPS DATA --part dev    # 12 copies of each clip of a sample, with ffmpeg
    python benchmarks/copies.py embed DATA --part dev         # an index of them and of originals; queries beside it
    python benchmarks/copies.py measure DATA --part dev       # recall by kind, precision, search

CLIPS is a folder with the files of ``base-split.csv``. What is chosen is chosen on ``dev``; ``last look`` judges.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import os
import subprocess
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)

SPLIT = Path(__file__).with_name("base-split.csv")
COPIED, INDEXED = 1, 3
"""Clips of a source that are copied, and that are in the index, at most: the first by their names' hashes."""
SHORTEST, LONGEST = 3.0, 10.5
"""Seconds of a clip that is copied."""

PICTURE = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"
H264 = f"{PICTURE} -crf 23 -c:a aac -b:a 64k"
SPEED, SHIFT = 1.25, 0.7
NOISE = "[0:a]volume=-12dB[s];anoisesrc=a=0.01:r=16000:seed=1[n];[s][n]amix=2:duration=first:normalize=0[a]"
SAME = "-map 0:v -map 0:a"
KINDS = {
    "H.264 CRF 40": f"{SAME} {PICTURE} -crf 40 -c:a aac -b:a 64k",
    "VP9 200 kbit": f"{SAME} -c:v libvpx-vp9 -b:v 200k -deadline realtime -cpu-used 8 -c:a libopus -b:a 48k",
    "crop 60 %": f"{SAME} -vf crop=trunc(iw*0.3)*2:trunc(ih*0.3)*2 {H264}",
    "mirrored": f"{SAME} -vf hflip {H264}",
    # As wide film in 16:9: a quarter of the height is black.
    "letterboxed": f"{SAME} -vf pad=iw:trunc(ih/1.5)*2:0:(oh-ih)/2 {H264}",
    "logo": f"{SAME} -vf drawbox=iw/2:ih/2:iw/2:ih/2:white:fill,drawbox=iw*.6:ih*.6:iw*.3:ih*.3:red:fill {H264}",
    "speed 1.25": f"{SAME} -vf setpts=PTS/{SPEED} -af atempo={SPEED} -r 16 {H264}",
    "grey": f"{SAME} -vf hue=s=0 {H264}",
    "half": f"{SAME} -ss {{quarter}} -t {{half}} {H264}",
    "shifted 0.7 s": f"{SAME} -ss {SHIFT} {H264}",
    "dubbed": f"-map 0:v -map 1:a -t {{length}} {H264}",
    "softer, noise": f"-map 0:v -map [a] {H264}",
}
"""What ffmpeg is told of each output; a crop keeps 60 % of each side, a logo hides a quarter of the frame."""

PartOption = Annotated[str, typer.Option(help="dev, or last look.")]


def clips_of(part: str) -> dict[str, str]:
    """The clips of a part and their sources, in the order of their names' hashes."""
    with SPLIT.open(newline="") as file:
        found = {row["file"]: row["source"] for row in csv.DictReader(file) if row["part"] == part}
    return {name: found[name] for name in sorted(found, key=lambda one: hashlib.sha256(one.encode()).hexdigest())}


def folder_of(data: Path, part: str) -> Path:
    return data / part.replace(" ", "-")


@app.command()
def make(clips: Path, data: Path, part: PartOption = "dev") -> None:
    """Write the copies of a part's sample, and links to originals."""
    from avfeat.media import probe

    folder, sources = folder_of(data, part), clips_of(part)
    infos = {name: probe(clips / name) for name in sources}
    lengths = {name: info.duration or 0.0 for name, info in infos.items() if info.video and info.audio}
    copied = first_of([name for name in lengths if SHORTEST <= lengths[name] <= LONGEST], sources, COPIED)
    indexed = dict.fromkeys([*copied, *first_of(sources, sources, INDEXED)])
    (folder / "originals").mkdir(parents=True, exist_ok=True)
    for name in indexed:
        link = folder / "originals" / name
        if not link.is_symlink():
            link.symlink_to((clips / name).resolve())
    with (folder / "copies.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "kind", "original", "source", "dub", "begin", "length", "speed"])
        for number, name in enumerate(copied):
            dub = next(one for one in copied[number:] + copied[:number] if sources[one] != sources[name])
            for kind, path in run_ffmpeg(clips, folder, name, dub, lengths[name]).items():
                begin = {"half": lengths[name] / 4, "shifted 0.7 s": SHIFT}.get(kind, 0.0)
                length = lengths[name] / 2 if kind == "half" else lengths[name] - begin
                speed = SPEED if kind.startswith("speed") else 1.0
                writer.writerow(
                    [
                        path.relative_to(folder),
                        kind,
                        name,
                        sources[name],
                        dub,
                        f"{begin:.3f}",
                        f"{length:.3f}",
                        speed,
                    ]
                )
    typer.echo(f"{len(copied)} clips are copied, {len(indexed)} of {len(sources)} are in the index")


def first_of(names: list[str] | dict[str, str], sources: dict[str, str], each: int) -> list[str]:
    """The first clips of each source."""
    taken: Counter[str] = Counter()
    chosen = []
    for name in names:
        taken[sources[name]] += 1
        if taken[sources[name]] <= each:
            chosen.append(name)
    return chosen


def run_ffmpeg(clips: Path, folder: Path, name: str, dub: str, length: float) -> dict[str, Path]:
    """All copies of a clip by one call of ffmpeg."""
    times = {"quarter": f"{length / 4:.3f}", "half": f"{length / 2:.3f}", "length": f"{length:.3f}"}
    paths, outputs = {}, []
    for kind, options in KINDS.items():
        place = folder / "copies" / kind.replace(" ", "_") / name
        paths[kind] = place.with_suffix(".webm" if kind.startswith("VP9") else ".mp4")
        paths[kind].parent.mkdir(parents=True, exist_ok=True)
        outputs += [*(word.format(**times) for word in options.split(" ")), "-threads", "1", str(paths[kind])]
    done = folder / "made" / name
    if not done.exists():
        inputs = ["-i", str(clips / name), "-stream_loop", "-1", "-i", str(clips / dub), "-filter_complex", NOISE]
        quiet = [
            "ffmpeg",
            "-y",
            "-v",
            "error",
            "-nostdin",
            "-threads",
            "1",
            "-filter_threads",
            "1",
            "-filter_complex_threads",
            "1",
        ]
        subprocess.run([*quiet, *inputs, *outputs], check=True)
        done.parent.mkdir(exist_ok=True)
        done.touch()
    return paths


@app.command()
def embed(data: Path, part: PartOption = "dev", threads: int = 1, queries: bool = True) -> None:
    """Embed originals and copies into an index, and each copy on the grid of a query, as ``avfeat search`` does."""
    import avfeat
    from avfeat.index.query import FINEST
    from avfeat.job import EmbedSettings, TaskFailed, make_plan, run

    os.chdir(folder_of(data, part))
    with avfeat.load(threads=threads) as encoder:
        for result in run(make_plan(["originals", "copies"], "all.lance"), encoder, EmbedSettings(workers=1)):
            if isinstance(result, TaskFailed):
                raise SystemExit(f"{result}")
        # Clip by clip, so that an interrupted run has all kinds of some.
        for path in sorted(
            (file for file in Path("copies").rglob("*") if file.is_file()), key=lambda one: one.stem
        ):
            query = Path("queries", path).with_name(f"{path.name}.npz")
            if queries and not query.exists():
                query.parent.mkdir(parents=True, exist_ok=True)
                encoder.embed(str(path), hop=FINEST, still=True).save(query)


@app.command()
def measure(data: Path, part: PartOption = "dev", threshold: float | None = None) -> None:
    """Print recall by kind, precision, and what search finds, each with a 95 % interval by drawing sources."""
    from avfeat.index.collection import load_collection
    from avfeat.index.duplicates import THRESHOLD, find

    os.chdir(folder_of(data, part))
    with Path("copies.csv").open(newline="") as file:
        copies = {row["file"]: row for row in csv.DictReader(file)}
    sources = clips_of(part)
    source = {f"originals/{name}": one for name, one in sources.items()}
    source |= {name: row["source"] for name, row in copies.items()}
    collection = load_collection(Path("all.lance"), features=True)
    found = find(collection, threshold or THRESHOLD)
    pairs = {(pair.a, pair.b) for pair in found.pairs}
    wrong = [pair for pair in sorted(pairs) if source[pair[0]] != source[pair[1]]]
    for row in copies.values():
        name = f"originals/{row['original']}"
        row["found"] = bool({(row["file"], name), (name, row["file"])} & pairs)
    searched(copies)
    for kind in KINDS:
        show(kind, [row for row in copies.values() if row["kind"] == kind])
    show("all", list(copies.values()))
    right = sum(bool(row["found"]) for row in copies.values())
    different = sum(bool(source[a] != source[b]) for a, b in itertools.combinations(collection.sources, 2))
    precision = right / max(1, right + len(wrong))
    typer.echo(f"precision {precision:.4f}: {len(wrong)} of {different:,} pairs of different sources")
    for a, b in wrong:
        typer.echo(f"  {a}  {b}")


def searched(copies: dict[str, dict[str, Any]]) -> None:
    """Note for each copy whether search finds its original first, and where it begins within a second."""
    import avfeat
    from avfeat.index.collection import load_collection
    from avfeat.index.search import Searcher

    searcher = Searcher("all.lance")
    originals = [name for name in searcher.collection.sources if name.startswith("originals")]
    searcher.collection = load_collection(Path("all.lance"), originals)
    for name, row in copies.items():
        query = Path("queries", f"{name}.npz")
        if query.exists():
            best = searcher.find(avfeat.read(query), top=1)[0]
            row["first"] = best.file == f"originals/{row['original']}"
            row["moment"] = row["first"] and abs(best.start - float(row["begin"])) <= 1


def show(kind: str, rows: list[dict[str, Any]]) -> None:
    """Shares of copies with their intervals."""
    shares = []
    for name in ("found", "first", "moment"):
        by_source = defaultdict(list)
        for row in rows:
            if name in row:
                by_source[row["source"]].append(row[name])
        values = list(by_source.values())
        if values:
            rng = np.random.default_rng(0)
            drawn = [
                np.concatenate([values[n] for n in rng.integers(len(values), size=len(values))])
                for _ in range(1000)
            ]
            low, high = np.quantile([one.mean() for one in drawn], [0.025, 0.975])
            shares.append(
                f"{name} {np.concatenate(values).mean():6.1%} ({low:.1%} to {high:.1%}, {sum(map(len, values))})"
            )
    typer.echo(f"{kind:14} " + "  ".join(shares))


if __name__ == "__main__":
    app()
