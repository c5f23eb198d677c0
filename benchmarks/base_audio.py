"""How the audio network of the pair ``base`` learns from one that tags sounds: mixtures, what it says, training.

    python benchmarks/base_audio.py label FOLDER TEACHER.pt MINI --sounds CACHE --share 0.7 ...    # shards; resumes
    python benchmarks/base_audio.py train FOLDER TEACHER.pt      # on the shards that are there, or come; resumes

A teacher labels any mixture. ``label`` mixes recordings (gain, equaliser, low-pass, echo, speed, noise, silence),
and writes for each window the log-mel spectrogram that the student sees, what the teacher TEACHER.pt (``mn04_as``)
makes of it, its features and its maps at three depths, and what the bundle MINI says of rhythm. ``train`` sees each
window three times, at a third of the teachers' cost.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
import torchaudio.functional as AF
import typer
from numpy.typing import NDArray
from torch import Tensor, nn

from avfeat.training.backbones.mn04 import FEATURES, SAMPLE_RATE, Mn04, load_mn04
from avfeat.training.data import Cache
from avfeat.training.data.clip import Clip
from avfeat.training.data.clip_writer import FULL_SCALE
from avfeat.training.networks.mel_resnet16 import WIDTHS, MelResNet16, wide_band
from avfeat.world import SyntheticVideo, plan
from avfeat.world.scene import Scene
from avfeat.writers.atomic import atomic

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)

MINI_RATE = 16_000
MINI_MOVING = 512
"""The first of its features: mean and standard deviation of what changes."""
RHYTHM = 128
"""How many of the student's features say that, by principal components."""

SECONDS = 2
SAMPLES = SECONDS * SAMPLE_RATE
PER_SHARD = 2048
BATCH = 64
HINTS = (6, 12, 15)
"""After these of the teacher's blocks its maps have the height and width of the student's stages."""
HINT_CHANNELS = (16, 48, 64)

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """Recordings to draw windows from, and how often."""

    cache: Cache
    items: NDArray[np.int64]
    odds: NDArray[np.float64]
    share: float

    def window(self, rng: np.random.Generator) -> Samples:
        """Two seconds of some recording, from anywhere; one that is shorter lies somewhere in silence."""
        clip = _clip(self.cache, int(rng.choice(self.items, p=self.odds)))
        speed = float(np.exp(rng.uniform(-0.3, 0.3))) if rng.random() < 0.3 else 1.0
        room = clip.samples / SAMPLE_RATE - SECONDS * speed
        start = rng.uniform(min(0.0, room), max(0.0, room))
        return clip.sound(round(start * 1e6), SAMPLES, speed)


@dataclass(frozen=True)
class MadePool:
    """The sounds of the synthetic dataset that ``mini`` was trained on, rendered when they are first drawn."""

    videos: tuple[SyntheticVideo, ...]
    share: float

    def window(self, rng: np.random.Generator) -> Samples:
        """Two seconds of some video."""
        sound = _made(self.videos[rng.integers(len(self.videos))])
        begin = rng.integers(0, len(sound) - SAMPLES)
        return sound[begin : begin + SAMPLES].astype(np.float32) / FULL_SCALE


@cache
def _made(video: SyntheticVideo) -> NDArray[np.int16]:
    return np.clip(
        np.rint(Scene.from_video(video).sound(SAMPLE_RATE) * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1
    ).astype(np.int16)


@lru_cache(maxsize=4096)
def _clip(cache: Cache, item: int) -> Clip:
    return cache.clip(item)


def pool(path: Path, share: float) -> Pool:
    """All recordings of a prepared cache; long ones are drawn more often, by the root of their length."""
    cache = Cache(path)
    items = np.array([item for item, row in enumerate(cache.rows) if row.audio_end], dtype=np.int64)
    ends = np.array([cache.rows[item].audio_end for item in items], dtype=np.float64)
    odds = np.sqrt(np.clip(ends / 1e6, 0.5, 180))
    return Pool(cache, items, odds / odds.sum(), share)


def mixture(rng: np.random.Generator, pools: Sequence[Pool | MadePool]) -> Samples:
    """One window: one to three recordings, each through a channel of its own, in some noise, at some level."""
    shares = np.array([one.share for one in pools])
    mixed = np.zeros(SAMPLES, dtype=np.float32)
    for number in range(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15])):
        found = through(rng, pools[rng.choice(len(pools), p=shares / shares.sum())].window(rng))
        level = float(np.sqrt(np.mean(found**2))) + 1e-5
        loudness = 1.0 if number == 0 else 10 ** (rng.uniform(-15, 5) / 20)
        mixed += found * np.float32(loudness / level)
    if rng.random() < 0.15:
        mixed += (10 ** (rng.uniform(-40, -5) / 20) * rng.standard_normal(SAMPLES)).astype(np.float32)
    peak = float(np.abs(mixed).max())
    level = 10 ** (rng.uniform(-30, 0) / 20)
    return mixed * np.float32(level / max(peak, 1e-5))


def through(rng: np.random.Generator, samples: Samples) -> Samples:
    """A channel: some frequencies louder, some softer, none above a limit, an echo, a beginning and an end."""
    if rng.random() < 0.6:
        spectrum = np.fft.rfft(samples)
        frequencies = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
        if rng.random() < 0.6:
            knots = np.log10([50, 200, 500, 1000, 2000, 4000, 8000, 16000])
            curve = np.interp(np.log10(frequencies + 1), knots, rng.normal(0, 5, len(knots)))
            spectrum = spectrum * 10 ** (curve / 20)
        if rng.random() < 0.5:
            cut = rng.choice([3500, 5500, 7700, 7700, 11000])
            spectrum = spectrum / np.sqrt(1 + (frequencies / cut) ** 40)
        if rng.random() < 0.25:
            length = round(rng.uniform(0.05, 0.5) * SAMPLE_RATE)
            tail = rng.standard_normal(length) * np.exp(-6 * np.arange(length) / length) / math.sqrt(length / 12)
            wet = rng.uniform(0.1, 0.8)
            spectrum = spectrum * (1 - wet + wet * np.fft.rfft(tail, SAMPLES))
        samples = np.fft.irfft(spectrum, SAMPLES).astype(np.float32)
    if rng.random() < 0.15:
        begin, end = np.sort(rng.integers(0, SAMPLES, 2))
        samples = samples.copy()
        samples[:begin] = 0
        samples[max(end, begin + 3200) :] = 0
    return samples


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard lies."""
    return folder / "shards" / f"{number:04d}.pt"


@app.command()
def label(
    folder: Path,
    teacher: Path,
    mini: Path,
    sounds: Annotated[list[Path], typer.Option(help="Prepared caches of recordings, at 32 kHz.")],
    share: Annotated[list[float], typer.Option(help="How often each is drawn from.")],
    made: float = 0.0,
    count: int = 40,
    seed: int = 0,
    first: int = 0,
    every: int = 1,
) -> None:
    """Write shards of mixtures with what the teacher says of them."""
    torch.set_num_threads(1)
    network = load_mn04(teacher)
    network.features.to(memory_format=torch.channels_last)
    pools: list[Pool | MadePool] = [pool(path, one) for path, one in zip(sounds, share, strict=True)]
    if made:
        pools.append(MadePool(tuple(video for video in plan(1000, 0) if video.split == "train"), made))
    log_mel, session = wide_band(SAMPLE_RATE), open_mini(mini)
    for number in range(first, count, every):
        path = shard_path(folder, number)
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([seed, number])
        parts = [
            labelled(np.stack([mixture(rng, pools) for _ in range(BATCH)]), log_mel, network, session)
            for _ in range(PER_SHARD // BATCH)
        ]
        whole = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        with atomic(path) as file:
            torch.save(whole, file)
        typer.echo(f"shard {number}")


@torch.inference_mode()
def labelled(
    windows: Samples, log_mel: nn.Module, teacher: Mn04, mini: onnxruntime.InferenceSession
) -> dict[str, Tensor]:
    """What a shard holds of some windows, in half precision."""
    waveform = torch.from_numpy(windows)
    x = teacher.mel(waveform).contiguous(memory_format=torch.channels_last)
    maps = []
    for number, layer in enumerate(teacher.features):
        x = layer(x)
        if number in HINTS:
            maps.append(x)
    found = {"mel": log_mel(waveform), "features": x.mean((2, 3)), "rhythm": rhythm(mini, waveform)}
    found |= {f"map{number}": one for number, one in enumerate(maps)}
    return {name: one.half().contiguous() for name, one in found.items()}


def rhythm(mini: onnxruntime.InferenceSession, waveform: Tensor) -> Tensor:
    """What ``mini`` says of how a sound changes, ``(batch, 512)``: its pathway that does not know what stays."""
    slow = AF.resample(waveform, SAMPLE_RATE, MINI_RATE).numpy()
    return torch.from_numpy(mini.run(["features"], {"waveform": slow})[0])[:, :MINI_MOVING]


def open_mini(bundle: Path) -> onnxruntime.InferenceSession:
    """The audio network of a bundle of the recipe ``mini``, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(bundle / "audio.onnx", options, providers=["CPUExecutionProvider"])


class Student(nn.Module):
    """The network with what is dropped after training: adapters to the teacher's maps."""

    def __init__(self, mean: Tensor, std: Tensor, components: Tensor) -> None:
        super().__init__()
        self.network = MelResNet16(FEATURES, RHYTHM)
        self.adapters = nn.ModuleList(
            nn.Sequential(nn.Conv2d(own, theirs, 1), nn.BatchNorm2d(theirs, affine=False))
            for own, theirs in zip(WIDTHS[1:], HINT_CHANNELS, strict=True)
        )
        self.scale = nn.ModuleList(nn.BatchNorm2d(theirs, affine=False) for theirs in HINT_CHANNELS)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("components", components)
        self.rhythm_scale = nn.BatchNorm1d(RHYTHM, affine=False)

    def forward(self, batch: dict[str, Tensor], classifier: nn.Module) -> dict[str, Tensor]:
        """Losses of a batch."""
        maps = self.network.maps(batch["mel"].float().contiguous(memory_format=torch.channels_last))
        hints = []
        for number, (adapter, scale) in enumerate(zip(self.adapters, self.scale, strict=True)):
            theirs = scale(batch[f"map{number}"].float())
            own = adapter(maps[number])
            own = own[..., : theirs.shape[2], : theirs.shape[3]]
            hints.append(F.smooth_l1_loss(own, theirs))
        predicted, moving = self.network.pooled(maps[-1]).split([FEATURES, RHYTHM], dim=1)
        features = batch["features"].float()
        taught = (features - self.mean) / self.std
        scores = torch.sigmoid(classifier(features))
        own_scores = classifier(predicted * self.std + self.mean)
        return {
            "features": F.smooth_l1_loss(predicted, taught),
            "scores": F.binary_cross_entropy_with_logits(own_scores, scores, reduction="none").sum(1).mean(),
            "rhythm": F.smooth_l1_loss(moving, self.rhythm_scale(batch["rhythm"].float() @ self.components)),
            "hints": torch.stack(hints).mean(),
            "explained": 1 - ((predicted - taught).square().mean() / taught.square().mean()).detach(),
        }


WEIGHTS = {"features": 1.0, "scores": 0.02, "rhythm": 0.3, "hints": 0.5}


@app.command()
def train(
    folder: Path,
    teacher: Path,
    shards: int = 48,
    passes: int = 3,
    rate: float = 2e-3,
    seed: int = 0,
    threads: int = 2,
) -> None:
    """Train the student; each step's batch is drawn from the newest ``passes`` shards that it may see."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    classifier = load_mn04(teacher).classifier
    steps = shards * PER_SHARD * passes // BATCH
    first = _shard(folder, 0)
    features, moving = first["features"].float(), first["rhythm"].float()
    components = torch.linalg.svd(moving - moving.mean(0), full_matrices=False).Vh[:RHYTHM].T.contiguous()
    student = Student(features.mean(0), features.std(0), components).to(memory_format=torch.channels_last)
    decayed = [one for one in student.parameters() if one.dim() > 1]
    plain = [one for one in student.parameters() if one.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    )
    last = folder / "student.pt"
    done = 0
    if last.exists():
        state = torch.load(last, weights_only=True)
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["step"]
    began, sums = time.time(), dict.fromkeys((*WEIGHTS, "explained"), 0.0)
    student.train()
    for step, batch in _batches(folder, shards, passes, seed, done, steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
        losses = student(batch, classifier)
        total = sum((WEIGHTS[name] * losses[name] for name in WEIGHTS), torch.zeros(()))
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        for name in sums:
            sums[name] += float(losses[name].detach()) / 50
        if (step + 1) % 50 == 0:
            line = {
                "step": step + 1,
                "of": steps,
                "seconds": round(time.time() - began),
                **{k: round(v, 4) for k, v in sums.items()},
            }
            typer.echo(json.dumps(line))
            sums = dict.fromkeys(sums, 0.0)
        if (step + 1) % 200 == 0 or step + 1 == steps:
            with atomic(last) as file:
                torch.save(
                    {"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, file
                )


def _batches(
    folder: Path, shards: int, passes: int, seed: int, done: int, steps: int
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Every window ``passes`` times, in the order of the shards, mixed among ``passes`` neighbouring ones."""
    per = PER_SHARD // BATCH
    held: dict[int, dict[str, Tensor]] = {}
    for step in range(done, steps):
        # One shard more after every `passes` rounds of a shard's batches.
        newest = min(shards - 1, step // (per * passes) + passes - 1)
        window = [newest - back for back in range(2 * passes) if newest - back >= 0]
        for number in window:
            if number not in held:
                held[number] = _shard(folder, number)
        for number in set(held) - set(window):
            del held[number]
        rng = np.random.default_rng([seed, 1, step])
        chosen = rng.choice(window, BATCH)
        rows = rng.integers(0, PER_SHARD, BATCH)
        names = held[window[0]]
        batch = {
            name: torch.stack([held[int(shard)][name][int(row)] for shard, row in zip(chosen, rows, strict=True)])
            for name in names
        }
        yield step, batch


def _shard(folder: Path, number: int) -> dict[str, Any]:
    """A shard, waited for where it is still being written."""
    path = shard_path(folder, number)
    while not path.exists():
        time.sleep(2)
    found: dict[str, Any] = torch.load(path, weights_only=True, mmap=False)
    return found


if __name__ == "__main__":
    app()
