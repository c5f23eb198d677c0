"""What augmentations cost: microseconds a sample, against copying the batch once.

python benchmarks/augment.py [--device cuda] [--batch 64]

Views of 16 frames of 112x112 pixels (float32, already on the device) and 2 s of sound at 16 kHz.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from avfeat.training.augment.clips import Clips
from avfeat.training.augment.compose import list_compositions, load_composition
from avfeat.training.augment.registry import AUGMENTATIONS
from avfeat.training.augment.sample_rng import SampleRNG

ROUNDS = 5


def clock(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=64)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    frames = torch.rand(asked.batch, 16, 3, 112, 112, device=device)
    seeds = torch.randint(0, 1 << 62, (asked.batch,), generator=torch.Generator().manual_seed(0)).to(device)
    waveform = torch.rand(asked.batch, 32_000, device=device) - 0.5
    clips = Clips(frames, waveform)
    changes = [(name, kind()) for name, kind in AUGMENTATIONS.items()]
    changes += [(f"composition {name}", load_composition(name)) for name in list_compositions()]
    works: dict[str, Callable[[], object]] = {"copy": lambda: (frames.clone(), waveform.clone())}
    works |= {name: partial(lambda change: change(clips, SampleRNG(seeds)), change) for name, change in changes}
    figures: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(ROUNDS + 1):
        for name, work in works.items():
            took = clock(work, device)
            if turn:
                # The first round only warms up.
                figures[name].append(took)
    copy = statistics.median(figures["copy"])
    print(f"{asked.device}, {torch.get_num_threads()} threads, batch {asked.batch}, medians of {ROUNDS} rounds")
    for name, runs in figures.items():
        took = statistics.median(runs)
        print(f"{name:28} {took / asked.batch * 1e6:9.0f} us a sample  {took / copy:6.1f} copies")


if __name__ == "__main__":
    main()
