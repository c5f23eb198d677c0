"""What a training step costs, and which part of it is not the networks'; ratios are measured side by side.

python benchmarks/training.py 'synthetic:ave?videos=200' --recipe smoke
python benchmarks/training.py FOLDER --recipe mini --batch-size 16
python benchmarks/training.py FOLDER --recipe reference --device cuda --peak 989        with utilisation

- real data: the loader, the cache warm, augmentations, forward, backward, optimizer
- resident batch: the same, on one batch that is there already
- no augmentation: the same, on views that are augmented already
- plain loop, fp32: the networks and the objective, eager, on those views, torch.optim, nothing of the trainer

All but the plain loop run in the precision of the recipe, which the heading says.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import torch

from avfeat.training.data import open_or_prepare
from avfeat.training.networks.flops import flops
from avfeat.training.recipes import Recipe, load_recipe
from avfeat.training.trainer.memory import keep_freed_memory
from avfeat.training.trainer.meter import peak_memory
from avfeat.training.trainer.process import Process, join_processes
from avfeat.training.trainer.trainer import Trainer
from avfeat.training.trainer.views import Views


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--recipe", default="smoke")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="of a round")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--peak", type=float, help="10 ** 12 operations a second that the device could do")
    asked = parser.parse_args()
    changes = [*asked.changes, "steps=1000000", "probe.every=0"]
    if asked.batch_size:
        changes.append(f"batch_size={asked.batch_size}")
    recipe = load_recipe(asked.recipe, changes)
    if recipe.distillation is not None:
        parser.error("a teacher is not part of what is compared here; leave distillation out.")
    cache = open_or_prepare(asked.data, recipe.cache)
    with join_processes(asked.device) as process:
        if process.device.type == "cpu":
            keep_freed_memory()
        trainer = Trainer(recipe, cache, asked.data, process)
        with trainer.batches(0) as batches:
            times = measured(modes(trainer, batches, process), asked.rounds, asked.steps, process)
        report(times, recipe, trainer, process, asked.peak)


def modes(trainer: Trainer, batches, process: Process) -> dict[str, Callable[[], None]]:  # type: ignore[no-untyped-def]
    """A step of each kind."""
    batch = next(batches)
    numbers = itertools.count()
    _, views = trainer.forward_backward(batch, 0)
    plain = plain_step(trainer, views)

    def real() -> None:
        trainer.step(next(numbers), batches)

    def resident() -> None:
        trainer.step(next(numbers), itertools.repeat(batch))

    def without() -> None:
        with torch.autocast(process.device.type, torch.bfloat16, enabled=trainer.bf16):
            outcome = trainer.wrapped(views.frames, views.waveform, views.present)
        outcome.total.backward()
        trainer.optimizer.step()
        trainer.optimizer.zero_grad(set_to_none=True)

    return {"real data": real, "resident batch": resident, "no augmentation": without, "plain loop, fp32": plain}


def plain_step(trainer: Trainer, views: Views) -> Callable[[], None]:
    """Eager fp32, contiguous, torch.optim's AdamW: what one would write by hand."""
    with torch.random.fork_rng():
        model = type(trainer.model)(trainer.recipe).to(trainer.process.device)
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad])

    def step() -> None:
        model(views.frames, views.waveform, views.present).total.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def measured(
    kinds: dict[str, Callable[[], None]], rounds: int, steps: int, process: Process
) -> dict[str, list[float]]:
    """Seconds of a step, for each kind in each round; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for step in kinds.values():
        step()
    for _ in range(rounds):
        for name, step in kinds.items():
            wait(process)
            begun = time.perf_counter()
            for _ in range(steps):
                step()
            wait(process)
            times[name].append((time.perf_counter() - begun) / steps)
    return times


def wait(process: Process) -> None:
    if process.device.type == "cuda":
        torch.cuda.synchronize()


def report(
    times: dict[str, list[float]], recipe: Recipe, trainer: Trainer, process: Process, peak: float | None
) -> None:
    """A table of medians, and the ratios that there are goals for."""
    spec, count = recipe.encoders, recipe.batch_size * trainer.model.views
    frames = torch.zeros(1, spec.frames, 3, spec.size, spec.size)
    sound = torch.zeros(1, round(spec.seconds * spec.sample_rate))
    pair = trainer.model.pair
    work = flops(pair.video.backbone, frames) + flops(pair.audio.backbone, trainer.model.log_mel.cpu()(sound))
    medians = {name: statistics.median(found) for name, found in times.items()}
    names = f"{spec.video} + {spec.audio}"
    precision = "bf16" if trainer.bf16 else "fp32"
    print(f"\n{names}, {spec.frames} x {spec.size} px, batch {recipe.batch_size}, {precision}, {process.device}\n")
    print("| step | ms | clips/s | over resident |\n|---|---|---|---|")
    for name, seconds in medians.items():
        ratio = statistics.median(a / b for a, b in zip(times[name], times["resident batch"], strict=True))
        print(f"| {name} | {1e3 * seconds:.0f} | {recipe.batch_size / seconds:.1f} | {ratio:.2f} |")
    share = statistics.median(
        1 - a / b for a, b in zip(times["no augmentation"], times["resident batch"], strict=True)
    )
    done = 3 * work * count / medians["real data"] / 1e12
    print(f"\naugmentations: {100 * share:.0f} % of a step on a resident batch")
    print(f"networks: {work / 1e9:.2f} GFLOP a view forward, {done:.2f} TFLOP/s in training", end="")
    print(f", {100 * done / peak:.0f} % of {peak:g}" if peak else "")
    print(f"memory: {peak_memory(process.device) / 2**30:.1f} GiB at most")


if __name__ == "__main__":
    main()
