"""Is the synthetic dataset neither trivial nor hopeless? Re-creates the figures in docs/synthetic-dataset.md.

python benchmarks/synthetic.py trivial SCRATCH        minutes: colour histogram and mean spectrum
python benchmarks/synthetic.py supervised SCRATCH     a quarter of an hour: light networks, with labels

SCRATCH is a folder for the rendered videos and the training's checkpoint; a second call goes on from there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avfeat.world import SyntheticVideo, plan, render
from avfeat.world.classes import CATEGORIES

FPS, SIZE, RATE, SECONDS = 8, 64, 16_000, 10
TRAIN, TEST = (2800, 0), (560, 1)
NAMES = [category.name for category in CATEGORIES]


@dataclass(frozen=True)
class Rendered:
    """A world as arrays on disk: frames ``(n, 80, 64, 64, 3)`` uint8, sound ``(n, 160000)`` int16."""

    videos: tuple[SyntheticVideo, ...]
    frames: NDArray[np.uint8]
    sound: NDArray[np.int16]
    labels: NDArray[np.int64]


def rendered(world: tuple[int, int], scratch: Path) -> Rendered:
    """The world of so many videos and that seed, rendered on all cores unless it is there."""
    videos = plan(*world)
    folder = scratch / f"world-{world[0]}-{world[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {"frames": (len(videos), FPS * SECONDS, SIZE, SIZE, 3), "sound": (len(videos), RATE * SECONDS)}
    dtypes = {"frames": np.uint8, "sound": np.int16}
    mode = "r" if (folder / "done").exists() else "w+"
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", mode, dtypes[name], shapes[name]) for name in shapes
    }
    if mode == "w+":
        with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
            for number, (frames, sound) in enumerate(pool.imap(_render, videos, chunksize=8)):
                arrays["frames"][number], arrays["sound"][number] = frames, sound
        (folder / "done").touch()
    labels = np.array([NAMES.index(video.category) for video in videos])
    return Rendered(videos, arrays["frames"], arrays["sound"], labels)


def _render(video: SyntheticVideo) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    made = render(video, fps=FPS, size=SIZE, sample_rate=RATE)
    assert made.frames is not None and made.waveform is not None
    return made.frames, np.round(made.waveform * 32767).astype(np.int16)


def trivial(scratch: Path) -> None:
    """Colour histograms and mean spectra in a logistic regression: must stay under three times chance."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = rendered(TRAIN, scratch), rendered(TEST, scratch)
    fit = np.array([video.split != "val" for video in train.videos])
    tables = [(histograms(world), spectra(world)) for world in (train, test)]
    print(
        f"chance {1 / len(NAMES):.3f}, three times chance {3 / len(NAMES):.3f}, "
        f"the majority class {np.bincount(test.labels).max() / len(test.labels):.3f}"
    )
    for name, columns in (("colour histogram", [0]), ("mean spectrum", [1]), ("both", [0, 1])):
        known, asked = (np.concatenate([table[k] for k in columns], axis=1) for table in tables)
        best = max(
            (
                make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000))
                for c in (1e-4, 1e-3, 1e-2, 1e-1, 1)
            ),
            key=lambda model: model.fit(known[fit], train.labels[fit]).score(known[~fit], train.labels[~fit]),
        )
        print(f"{name:20} {best.score(asked, test.labels):.3f}")


def histograms(world: Rendered) -> NDArray[np.float64]:
    """Joint colour histogram, 4 levels a channel, of all frames of a video: ``(n, 64)``."""
    out = []
    for frames in world.frames:
        levels = (frames[::4] >> 6).reshape(-1, 3).astype(np.int64) @ (16, 4, 1)
        out.append(np.bincount(levels, minlength=64) / len(levels))
    return np.sqrt(np.array(out))


def spectra(world: Rendered) -> NDArray[np.float64]:
    """Mean power spectrum and mean log-power spectrum in 40 bands, in dB: ``(n, 80)``."""
    edges = np.unique(np.round(np.geomspace(2, 256, 41)).astype(int))
    out = []
    for sound in world.sound:
        frames = np.lib.stride_tricks.sliding_window_view(sound / 32768, 512)[::256] * np.hanning(512)
        power = np.add.reduceat(np.abs(np.fft.rfft(frames, axis=1)) ** 2, edges[:-1], axis=1) + 1e-6
        out.append(np.concatenate([10 * np.log10(power.mean(0)), 10 * np.log10(power).mean(0)]))
    return np.array(out)


def supervised(scratch: Path, steps: int) -> None:
    """Light networks trained with labels: how well can the classes be told apart, and by which modality?

    Windows of 2 s within the event, as the default bundle takes them, at 64 pixels. One linear head each for
    video, audio, and both; before the heads, features are kept over time, so that "both" can hear whether sound
    and motion share their beats.
    """
    import torch
    from torch.nn.functional import cross_entropy

    torch.manual_seed(0)
    train, test = rendered(TRAIN, scratch), rendered(TEST, scratch)
    model = _judge()
    parameters = sum(p.numel() for p in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE_OF_LEARNING, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE_OF_LEARNING, total_steps=steps, pct_start=0.15)
    checkpoint, first = scratch / "supervised.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]
    known = np.array([k for k, video in enumerate(train.videos) if video.split != "val"])
    begun = time.perf_counter()
    for step in range(first, steps):
        rng = np.random.default_rng([0, step])
        rows = rng.choice(known, BATCH, replace=False)
        frames, sound = _windows(train, rows, rng)
        labels = torch.from_numpy(train.labels[rows])
        losses = [cross_entropy(scores, labels, label_smoothing=0.05) for scores in model(frames, sound)]
        optimizer.zero_grad()
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            took = (time.perf_counter() - begun) / (step + 1 - first)
            print(
                f"step {step + 1}: loss "
                + ", ".join(f"{loss.item():.3f}" for loss in losses)
                + f"; {took:.2f} s a step",
                flush=True,
            )
        if (step + 1) % 100 == 0 or step + 1 == steps:
            _report(model, test, step + 1)
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "step": step + 1,
            }
            torch.save(state, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
    print(f"{parameters / 1e6:.1f} M parameters, {steps} steps of {BATCH}")


BATCH, RATE_OF_LEARNING = 32, 3e-3


def _judge():  # type: ignore[no-untyped-def]
    """A pair of MobileNets with heads over time; forward gives scores of (both, video, audio)."""
    import torch
    from torch import nn

    from avfeat.training.networks import PairSpec, build_pair
    from avfeat.training.networks.log_mel import LogMel

    class Judge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            pair = build_pair(PairSpec("shift_mobilenet", "mel_mobilenet"))
            self.video, self.audio, self.mel = pair.video.backbone.layers, pair.audio.backbone.layers, LogMel()
            self.video.to(memory_format=torch.channels_last)
            for layer in self.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    # torchvision's 0.01 suits a hundred times as many steps.
                    layer.momentum = 0.1
            self.seer = torch.compile(self.video)
            self.steps = 8
            self.single = nn.ModuleList(nn.Linear(2 * 512, len(NAMES)) for _ in range(2))
            self.mix = nn.Sequential(
                nn.Conv1d(1024, 256, 3, padding=1),
                nn.BatchNorm1d(256),
                nn.ReLU(),
                nn.Conv1d(256, 256, 3, padding=1),
                nn.BatchNorm1d(256),
                nn.ReLU(),
            )
            self.both = nn.Linear(2 * 1024 + 256, len(NAMES))

        def forward(self, frames, sound):  # type: ignore[no-untyped-def]
            maps = self.seer((frames.flatten(0, 1) - 0.5) / 0.25).mean((2, 3))
            seen = maps.unflatten(0, (len(frames), -1)).transpose(1, 2)
            heard = self.audio(self.mel(sound)).mean(2)
            seen, heard = (nn.functional.adaptive_avg_pool1d(x, self.steps) for x in (seen, heard))
            pooled = [torch.cat([x.mean(2), x.std(2)], dim=1) for x in (seen, heard)]
            mixed = self.mix(torch.cat([seen, heard], dim=1)).mean(2)
            return (
                self.both(torch.cat([*pooled, mixed], dim=1)),
                self.single[0](pooled[0]),
                self.single[1](pooled[1]),
            )

    return Judge()


def _windows(world: Rendered, rows: NDArray[np.int64], rng: np.random.Generator | None):  # type: ignore[no-untyped-def]
    """A window of 2 s of each video's event: a random one, cropped and mirrored, or the middle of it."""
    import torch

    frames, sound = [], []
    for row in rows:
        video = world.videos[row]
        room = (video.end - video.start - 2) * FPS
        begin = video.start * FPS + (room // 2 if rng is None else int(rng.integers(room + 1)))
        clip = world.frames[row, begin : begin + 2 * FPS]
        if rng is not None:
            top, left = rng.integers(0, 9, 2)
            clip = np.pad(clip, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="edge")[
                :, top : top + SIZE, left : left + SIZE
            ]
            clip = clip[:, :, :: rng.choice((-1, 1))]
        frames.append(np.ascontiguousarray(clip))
        at = begin * RATE // FPS
        sound.append(world.sound[row, at : at + 2 * RATE].astype(np.float32) / 32768)
    pictures = torch.from_numpy(np.stack(frames)).permute(0, 1, 4, 2, 3).float() / 255
    waves = torch.from_numpy(np.stack(sound))
    return pictures, waves / (waves.square().mean(1, keepdim=True).sqrt() + 1e-4) * 0.1


def _report(model, test: Rendered, step: int) -> None:  # type: ignore[no-untyped-def]
    """Accuracy on the middle window of every video of a world that no training has seen."""
    import torch

    model.eval()
    right = []
    with torch.no_grad():
        for rows in np.array_split(np.arange(len(test.videos)), len(test.videos) // 40):
            labels = torch.from_numpy(test.labels[rows])
            right.append(
                [
                    (scores.argmax(1) == labels).float().mean().item()
                    for scores in model(*_windows(test, rows, None))
                ]
            )
    model.train()
    both, video, audio = np.mean(right, axis=0)
    print(f"step {step}: accuracy both {both:.3f}, video only {video:.3f}, audio only {audio:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["trivial", "supervised"])
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--steps", type=int, default=500)
    asked = parser.parse_args()
    if asked.what == "trivial":
        trivial(asked.scratch)
    else:
        supervised(asked.scratch, asked.steps)


if __name__ == "__main__":
    main()
