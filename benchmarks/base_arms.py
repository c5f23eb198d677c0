"""What contrastive pretraining adds to the pair ``base``, and which augmentations help it: arms with one start.

    python benchmarks/base_arms.py train FOLDER CACHE START [--seeds 3]     # avfeat train, arm by arm; goes on
    python benchmarks/base_arms.py measure FOLDER START -t FEATURES.npz=CACHE ... --dev FEATURES.npz=CACHE

START is a run that ``base.py assemble`` wrote. CACHE is of 112 px: EfficientNet-Lite0 is frozen, and the motion
pathway sees no more. ``measure`` puts each run's motion pathway and audio network beside EfficientNet-Lite0's
features at full size, learns the projections anew, and compares with START by paired bootstrap over sources.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
import yaml
from base import SPEC, FrozenWindows, learn_projections, scaled, set_motion, set_norm, unscaled, windows
from default_model import in_step
from numpy.typing import NDArray

from avfeat.evaluation.interval import bootstrap
from avfeat.evaluation.nearest import vote
from avfeat.evaluation.neighbours import RANKS
from avfeat.training.checkpoint import LAST, Checkpoint
from avfeat.training.data import Cache
from avfeat.training.networks import EncoderPair, build_pair

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)

ARMS = ("sampling-only", "reference", "incoherent")
"""Compositions that differ in what they do over time: nothing more, lossy and coherent, incoherent."""
NEIGHBOURS = 5


@app.command()
def train(folder: Path, cache: Path, start: Path, seeds: int = 3, steps: int = 150, batch: int = 32) -> None:
    """Train each arm with each seed; what is done is left alone, what was interrupted goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(seeds):
        for arm in ARMS:
            run, recipe = folder / f"{arm}-{seed}", folder / f"{arm}.yaml"
            values = {"extends": "base", "encoders": {"size": 112, "init": str(start.resolve())}}
            values |= {"augment": arm, "steps": steps, "batch_size": batch, "probe": {"every": 0}}
            recipe.write_text(yaml.safe_dump(values))
            own = ["--resume"] if (run / LAST).exists() else ["--recipe", str(recipe), "--seed", str(seed)]
            command = [sys.executable, "-m", "avfeat", "train", str(cache), "-o", str(run), *own]
            subprocess.run([*command, "--workers", "0"], check=True)


@app.command()
def measure(
    folder: Path,
    start: Path,
    dev: Annotated[str, typer.Option(help="FEATURES.npz=CACHE of what it is measured on.")],
    data: Annotated[list[str], typer.Option("-t", "--train", help="FEATURES.npz=CACHE to learn projections on.")],
    threads: int = 1,
) -> None:
    """Print a line for START and each run; ``folder/measured.jsonl`` keeps what is done."""
    torch.set_num_threads(threads)
    path = folder / "measured.jsonl"
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    before: dict[str, Any] | None = next((one for one in known if one["run"] == "start"), None)
    for name, run in [
        ("start", start),
        *((one.parents[1].name, one.parents[1]) for one in sorted(folder.glob(f"*/{LAST}"))),
    ]:
        found = next((one for one in known if one["run"] == name), None)
        if found is None:
            found = {"run": name} | _measured(run, [_pair_of(one) for one in data], _pair_of(dev))
            with path.open("a") as file:
                file.write(json.dumps(found) + "\n")
        before = before or found
        typer.echo(_line(found, before))


def _line(found: dict[str, Any], before: dict[str, Any]) -> str:
    lead = np.subtract(found["right"], before["right"], dtype=np.float64)
    low, high = bootstrap(lead, found["groups"])
    recalls = "  ".join(f"{way} {'/'.join(f'{one:.1f}' for one in found[way])}" for way in ("a2v", "v2a"))
    gain = f"{100 * lead.mean():+.1f}, {100 * low:+.1f} to {100 * high:+.1f}"
    knn = 100 * np.mean(found["right"])
    return f"{found['run']:18}  kNN {knn:.1f} ({gain})  {recalls}  synchrony {found['synchrony']:.1f}"


def _pair_of(text: str) -> tuple[Path, Path]:
    features, cache = map(Path, text.rsplit("=", 1))
    return features, cache


def _measured(run: Path, data: list[tuple[Path, Path]], dev: tuple[Path, Path]) -> dict[str, Any]:
    pair = build_pair(replace(SPEC, init="none"), published=False)
    pair.load_state_dict(Checkpoint.load(run).encoders)
    pair.eval()
    video: Any = pair.video.backbone
    torch.manual_seed(0)
    parts = [_windows(pair, *one) for one in data]
    set_motion(video, torch.cat([one.moving for one in parts]))
    set_norm(video, torch.cat([unscaled(video, one) for one in parts]))
    learn_projections(pair, [(scaled(video, one), one.audio, one.clip) for one in parts])
    return _figures(pair, _windows(pair, *dev), Cache(dev[1]))


@torch.inference_mode()
def _windows(pair: EncoderPair, features: Path, cache: Path) -> FrozenWindows:
    """What is there as it was written; what moves and sounds as this pair has it."""
    found = FrozenWindows.read(pair.audio.backbone, features, cache)
    video: Any = pair.video.backbone
    moving = torch.cat([video.moving(frames) for _, _, frames in windows(Cache(cache))])
    return replace(found, moving=moving.clone())


@torch.inference_mode()
def _figures(pair: EncoderPair, found: FrozenWindows, cache: Cache) -> dict[str, Any]:
    video: Any = pair.video.backbone
    sides = {"video": scaled(video, found), "audio": found.audio}
    shared = [_unit(getattr(pair, name).projection(rows).numpy()) for name, rows in sides.items()]
    clips = found.clip.unique().numpy()
    labels = np.array([cache.rows[one].label or "" for one in clips])
    groups = np.array([cache.rows[one].group or "" for one in clips])
    means = np.concatenate([_unit(_means(rows.numpy(), found.clip.numpy())) for rows in sides.values()], axis=1)
    labelled = labels != ""
    numbers = [np.unique(one[labelled], return_inverse=True)[1].astype(np.int64) for one in (labels, groups)]
    right = vote(means[labelled].astype(np.float64) / np.sqrt(2), *numbers, NEIGHBOURS)
    queries, targets = (_unit(_means(rows, found.clip.numpy())) for rows in shared)
    return {
        "right": right.astype(int).tolist(),
        "groups": groups[labelled].tolist(),
        "a2v": _recalls(targets @ queries.T, groups),
        "v2a": _recalls(queries @ targets.T, groups),
        "synchrony": 100 * float(np.mean(list(_synchrony(*shared, found.clip.numpy())))),
    }


def _means(rows: NDArray[Any], clip: NDArray[Any]) -> NDArray[Any]:
    return np.stack([rows[clip == one].mean(0) for one in np.unique(clip)])


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _recalls(similarity: NDArray[Any], groups: NDArray[Any]) -> list[float]:
    """In %: a clip's own among the clips of other sources."""
    own = np.diag(similarity)[:, None]
    above = ((similarity >= own) & (groups[:, None] != groups)).sum(1)
    return [100 * float((above < count).mean()) for count in RANKS]


def _synchrony(video: NDArray[Any], audio: NDArray[Any], clip: NDArray[Any]) -> Iterator[float]:
    """Of each clip of two windows or more, how often a window's own sound is nearer to it than another one."""
    for one in np.unique(clip):
        similarity = video[clip == one] @ audio[clip == one].T
        if len(similarity) > 1:
            yield in_step(similarity)


if __name__ == "__main__":
    app()
