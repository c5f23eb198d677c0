"""How the pair ``base`` was put together, and what it is worth: the figures of its card.

    python benchmarks/base.py split CLIPS.csv                 # base-split.csv: train, dev or last look, by source
    python benchmarks/base.py features FEATURES.npz CACHE MINI     # what its frozen parts make of a prepared cache
    python benchmarks/base.py assemble MINI STUDENT.pt -t FEATURES.npz=CACHE ... -o RUN    # all weights, as a run

``assemble`` writes a run that ``avfeat export`` and ``encoders.init=RUN`` take. CLIPS.csv has the columns ``file
source class train``.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from avfeat.bundle import Bundle
from avfeat.grid import microseconds
from avfeat.training.checkpoint import LAST, Checkpoint
from avfeat.training.data import Cache
from avfeat.training.networks import PAIRS, EncoderPair, build_pair
from avfeat.training.networks.folded import load_folded, unfold
from avfeat.training.networks.lite0_motion import Lite0Motion
from avfeat.training.networks.registry import log_mel_of
from avfeat.training.provenance import describe_data, revision, versions
from avfeat.training.recipes import load_recipe

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)

SPEC = PAIRS["base"]
SPLIT = Path(__file__).with_name("base-split.csv")
LAST_LOOK, DEV = (150, 25), (100, 15)
"""Labelled clips and sources, at the least."""
LARGE = 25
"""Sources of more labelled clips than these are trained on: one of them would be half of what is measured."""


@app.command()
def split(clips: Path, output: Path = SPLIT) -> None:
    """Write which clips are trained on, chosen by, and looked at once, at the end.

    The last look has all sources that ``mini`` did not see. What it lacks, and what is chosen by, are labelled
    sources that ``mini`` was trained on, in the order of their names' hashes.
    """
    with clips.open(newline="") as file:
        rows = list(csv.DictReader(file))
    unseen, known = _by_mini(rows)
    last, rest = _taken(rows, unseen, known, LAST_LOOK)
    dev, _ = _taken(rows, set(), rest, DEV)
    with output.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "source", "part", "mini"])
        for row in rows:
            source = row["source"]
            part = "last look" if source in last else "dev" if source in dev else "train"
            writer.writerow([row["file"], source, part, "unseen" if source in unseen else "seen"])


def _by_mini(rows: Sequence[dict[str, str]]) -> tuple[set[str], list[str]]:
    """The sources that ``mini`` never saw, and the labelled ones that it did, as in ``default_model.py``."""
    by_hash = sorted(
        {row["source"] for row in rows if row["train"] == "yes" and row["class"]},
        key=lambda name: hashlib.sha256(name.encode()).hexdigest(),
    )
    held = set(by_hash[2::3])
    seen = {row["source"] for row in rows if row["train"] == "yes"} - held - {"filyp/mcgurk_task"}
    known = [name for name in by_hash if name in seen and _labelled(rows, {name})[0] <= LARGE]
    return {row["source"] for row in rows} - seen, known


def _taken(
    rows: Sequence[dict[str, str]], begun: set[str], more: Sequence[str], least: tuple[int, int]
) -> tuple[set[str], list[str]]:
    """Sources until there is enough that is labelled, and those that are left."""
    taken, left = set(begun), list(more)
    while any(found < wanted for found, wanted in zip(_labelled(rows, taken), least, strict=True)):
        taken.add(left.pop(0))
    return taken, left


def _labelled(rows: Sequence[dict[str, str]], sources: set[str]) -> tuple[int, int]:
    """Labelled clips, and their sources."""
    found = [row["source"] for row in rows if row["class"] and row["source"] in sources]
    return len(found), len(set(found))


@app.command()
def features(output: Path, cache: Path, mini: Path, threads: int = 1) -> None:
    """Write what the frozen parts make of windows: ``there``, ``moving``, ``item``, ``start`` in microseconds."""
    torch.set_num_threads(threads)
    network = video_network(mini).eval()
    found: dict[str, list[Any]] = {"there": [], "moving": [], "item": [], "start": []}
    with torch.inference_mode():
        for item, start, frames in windows(Cache(cache)):
            found["there"].append(network.there(frames).numpy())
            found["moving"].append(network.moving(frames).numpy())
            found["item"].append(np.full(len(frames), item))
            found["start"].append(start)
    np.savez(output, **{name: np.concatenate(parts) for name, parts in found.items()})


def windows(cache: Cache) -> Iterator[tuple[int, Any, Tensor]]:
    """Of each clip: its number, when its windows begin, and their frames ``(n, T, 3, size, size)`` in [0, 1]."""
    span = microseconds(SPEC.seconds)
    middles = np.rint((np.arange(SPEC.frames) + 0.5) * span / SPEC.frames).astype(np.int64)
    for item, row in enumerate(cache.rows):
        if not row.video_end or not row.audio_end:
            continue
        starts = np.arange(max(1, min(row.video_end, row.audio_end) // span)) * span
        frames = cache.clip(item).frames((starts[:, None] + middles).ravel())
        windows = torch.from_numpy(frames).unflatten(0, (-1, SPEC.frames)).permute(0, 1, 4, 2, 3)
        yield item, starts, windows.float() / 255


def video_network(mini: Path) -> Lite0Motion:
    """EfficientNet-Lite0 as published, and the motion pathway of the bundle ``mini``."""
    network = build_pair(replace(SPEC, init="efficientnet_lite0")).video.backbone
    assert isinstance(network, Lite0Motion)
    known = build_pair("mini", published=False).video
    load_folded(known, Bundle.open(mini), "video")
    taken: Any = known.backbone
    network.layers.load_state_dict(taken.layers.state_dict())
    for mine, theirs in ((network.motion_norm.running_mean, 0), (network.motion_norm.running_var, 1)):
        statistics = (taken.norm.running_mean, taken.norm.running_var)[theirs]
        assert isinstance(mine, Tensor)
        mine.copy_(statistics[: len(mine)])
    return network


@dataclass(frozen=True)
class FrozenWindows:
    """What the frozen parts make of the windows of a cache.

    Attributes:
        there: ``(n, 1280)``.
        moving: ``(n, 512)``.
        audio: ``(n, 512)``.
        clip: int64 ``(n,)``: windows of one clip share a number.
    """

    there: Tensor
    moving: Tensor
    audio: Tensor
    clip: Tensor

    @classmethod
    def read(cls, audio: nn.Module, features: Path, cache: Path) -> FrozenWindows:
        """From what ``features`` wrote; sounds are read from the cache."""
        stored = np.load(features)
        found = heard(audio, Cache(cache), stored["item"], stored["start"])
        there, moving = (torch.from_numpy(stored[name]) for name in ("there", "moving"))
        return cls(there, moving, found, torch.from_numpy(stored["item"]))


@torch.inference_mode()
def heard(audio: nn.Module, cache: Cache, items: Any, starts: Any) -> Tensor:
    """The audio network's features of windows."""
    log_mel, count = log_mel_of(SPEC), round(SPEC.seconds * SPEC.sample_rate)
    found = []
    for begin in range(0, len(items), 64):
        part = zip(items[begin : begin + 64], starts[begin : begin + 64], strict=True)
        waveform = np.stack([cache.clip(int(item)).sound(int(start), count) for item, start in part])
        found.append(audio(log_mel(torch.from_numpy(waveform))))
    return torch.cat(found).clone()


@app.command()
def assemble(
    mini: Path,
    student: Path,
    data: Annotated[list[str], typer.Option("-t", "--train", help="FEATURES.npz=CACHE of a prepared cache.")],
    run: Annotated[Path, typer.Option("-o", "--output")],
    source: Annotated[str, typer.Option(help="The data, in words.")],
    recipe: str = "base",
    threads: int = 2,
) -> None:
    """Put published, earlier and taught weights together, train the projections, and write a run."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    pair = build_pair(SPEC, published=False)
    pair.video.backbone = video = video_network(mini)
    pair.audio.backbone.load_state_dict(_student(student))
    pair.eval()
    pairs = [tuple(map(Path, one.rsplit("=", 1))) for one in data]
    parts = [FrozenWindows.read(pair.audio.backbone, features, cache) for features, cache in pairs]
    unfold(video.layers, _differences(video, [Cache(cache) for _, cache in pairs]))
    set_motion(video, torch.cat([one.moving for one in parts]))
    set_norm(video, torch.cat([unscaled(video, one) for one in parts]))
    learn_projections(pair, [(scaled(video, one), one.audio, one.clip) for one in parts])
    facts = [describe_data(cache.name, Cache(cache)) for _, cache in pairs]
    Checkpoint(
        recipe=load_recipe(recipe).to_values(),
        step=0,
        data={
            "source": source,
            "clips": sum(int(one["clips"]) for one in facts),
            "seconds": round(sum(float(one["seconds"]) for one in facts)),
            "parts": facts,
        },
        provenance={"revision": revision(), "versions": versions()},
        encoders=pair.state_dict(),
        training={},
    ).save(run / LAST)


def _differences(video: Lite0Motion, caches: Sequence[Cache], clips: int = 40) -> Iterator[Tensor]:
    """What the motion pathway sees of some clips of each cache."""
    for cache in caches:
        for number, (_, _, frames) in enumerate(windows(cache)):
            if number % max(1, len(cache.rows) // clips) == 0:
                yield video.differences(frames[:2])


@torch.no_grad()
def set_motion(video: Lite0Motion, moving: Tensor) -> None:
    """The motion features become the first principal components of what the pathway gives."""
    rows = video.motion_norm(moving)
    _, _, vt = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    video.motion.weight.copy_(vt[: len(video.motion.weight)])


@torch.no_grad()
def unscaled(video: Lite0Motion, found: FrozenWindows) -> Tensor:
    """Video features before the last normalisation."""
    return torch.cat([found.there, video.motion(video.motion_norm(found.moving))], dim=1)


@torch.no_grad()
def set_norm(video: Lite0Motion, rows: Tensor) -> None:
    """The last normalisation has the mean and variance of these rows."""
    mean, variance = video.norm.running_mean, video.norm.running_var
    assert mean is not None and variance is not None
    mean.copy_(rows.mean(0))
    variance.copy_(rows.var(0))


@torch.no_grad()
def scaled(video: Lite0Motion, found: FrozenWindows) -> Tensor:
    """Video features."""
    features: Tensor = video.norm(unscaled(video, found))
    return features


Rows = tuple[Tensor, Tensor, Tensor]
"""Video and audio features of windows, and the number of each one's clip."""


@dataclass(frozen=True)
class Projecting:
    """How the projections learn, on features that stay as they are.

    Attributes:
        steps: of AdamW.
        rate: its peak learning rate, with a cosine to 0.
        decay: weight decay.
        temperature: of InfoNCE.
        clips: of a step.
        per: windows of a clip: those of one clip are each other's wrong answers, so that time is learned, too.
        dropped: part of the features that is left out.
        noise: standard deviation of what is added to features.
    """

    steps: int = 1000
    rate: float = 1e-3
    decay: float = 0.1
    temperature: float = 0.07
    clips: int = 64
    per: int = 4
    dropped: float = 0.5
    noise: float = 1.0


def learn_projections(
    pair: EncoderPair, parts: Sequence[Rows], how: Projecting | None = None, seed: int = 0
) -> None:
    """Train both projections by InfoNCE between the windows of a batch.

    Three of four batches are of the first of ``parts``, the fourth is of one of the others, in turn.
    """
    how = how or Projecting()
    rng = np.random.default_rng(seed)
    heads = nn.ModuleList([pair.video.projection, pair.audio.projection]).train()
    optimizer = torch.optim.AdamW(heads.parameters(), lr=how.rate, weight_decay=how.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.steps)
    windows_of = [[torch.nonzero(clip == one)[:, 0] for one in clip.unique()] for _, _, clip in parts]
    for step in range(how.steps):
        number = 0 if step % 4 < 3 or len(parts) == 1 else 1 + step // 4 % (len(parts) - 1)
        video, audio, _ = parts[number]
        rows = _drawn(rng, windows_of[number], how)
        sides = [_disturbed(side[rows], how) for side in (video, audio)]
        first, second = (head(side) for head, side in zip(heads, sides, strict=True))
        similarity = first @ second.T / how.temperature
        own = torch.arange(len(rows))
        loss = (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own)) / 2
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    pair.eval()


def _drawn(rng: np.random.Generator, clips: Sequence[Tensor], how: Projecting) -> Tensor:
    chosen = rng.choice(len(clips), min(how.clips, len(clips)), replace=False)
    return torch.cat([clips[one][rng.permutation(len(clips[one]))[: how.per]] for one in chosen])


def _disturbed(rows: Tensor, how: Projecting) -> Tensor:
    return F.dropout(rows + how.noise * torch.randn_like(rows), how.dropped)


def _student(path: Path) -> dict[str, Tensor]:
    state = torch.load(path, weights_only=True)["student"]
    return {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}


if __name__ == "__main__":
    app()
