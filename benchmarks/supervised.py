"""The default model's networks trained with labels, on the same clips with the same augmentations, to compare with.

python benchmarks/default_model.py supervised FOLDER    half an hour of two cores; ``measure`` shows it then, too
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from avfeat.grid import MICROSECONDS
from avfeat.training.checkpoint import LAST, Checkpoint
from avfeat.training.data import Cache, open_or_prepare
from avfeat.training.data.loader import Batch, loading, make_loader
from avfeat.training.data.sources.synthetic import PREFIX
from avfeat.training.networks import EncoderPair, build_pair
from avfeat.training.networks.channels_last import to_channels_last
from avfeat.training.networks.registry import log_mel_of
from avfeat.training.provenance import describe_data, revision, versions
from avfeat.training.recipes import Recipe, load_recipe
from avfeat.training.trainer.optimizer import rate_at
from avfeat.training.trainer.views import augment_views, seeds_of, to_device
from avfeat.training.trainer.watch import Finite
from avfeat.world import SyntheticVideo
from avfeat.world.classes import BY_NAME

_LOG = 20
_SMOOTHING = 0.05
_DESCRIPTION = "trained with labels, by benchmarks/supervised.py; the shared space is random"


class Supervised(nn.Module):
    """Both encoders under linear classifiers of video, of audio, and of both features together."""

    def __init__(self, recipe: Recipe, classes: int) -> None:
        super().__init__()
        self.pair: EncoderPair = build_pair(recipe.encoders)
        self.log_mel = log_mel_of(recipe.encoders)
        dims = [self.pair.video.dim, self.pair.audio.dim]
        self.heads = nn.ModuleList(nn.Linear(dim, classes) for dim in (*dims, sum(dims)))

    def forward(self, frames: Tensor, waveform: Tensor) -> list[Tensor]:
        """The scores of each head: ``(batch, classes)``."""
        with torch.no_grad(), torch.autocast(waveform.device.type, enabled=False):
            spectrogram = self.log_mel(waveform)
        found = [self.pair.video.backbone(frames), self.pair.audio.backbone(spectrogram)]
        return [head(x) for head, x in zip(self.heads, (*found, torch.cat(found, dim=1)), strict=True)]


def train_supervised(data: str, run: Path, recipe_name: str, steps: int, world: tuple[SyntheticVideo, ...]) -> None:
    """Train on the labels of ``data``, and write a run that ``avfeat export`` takes; its shared space is random.

    Args:
        data: as ``avfeat train`` takes it; clips without a label count for nothing but BatchNorm.
        run: folder of the checkpoint.
        recipe_name: of the networks, the augmentations, the learning rate and the batch; AdamW moves the weights.
        steps: of the optimizer; nothing is kept before the last one.
        world: the synthetic videos in it; their windows count that lie in the event for half of their time or more.

    Raises:
        DivergedError: loss or gradient of the step before were not numbers.
    """
    recipe = load_recipe(recipe_name, ["precision=bf16", "required_streams=both", f"steps={steps}"])
    cache = open_or_prepare(data, recipe.cache)
    events = _events(cache, world)
    if set(BY_NAME) & {row.label for row in cache.rows if not row.name.startswith(PREFIX)}:
        raise SystemExit(f"{data}: real clips have a class of the synthetic dataset's name; rename it.")
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = to_channels_last(Supervised(recipe, len(cache.classes))).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=recipe.optimizer.weight_decay)
    begun, means, finite = time.perf_counter(), np.zeros(3), Finite()
    for step, batch in _batches(cache, recipe):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, steps, recipe.optimizer, recipe.batch_size)
        labels = torch.from_numpy(_labels(batch, events, recipe.encoders.seconds)).to(device)
        seeds = seeds_of(recipe.seed, step, 0, len(labels))
        views = augment_views(
            to_device(batch, device, ("video", "audio")), recipe.augment, recipe.encoders.sample_rate, seeds
        )
        with torch.autocast(device.type, torch.bfloat16):
            scores = model(views.frames, views.waveform)
        losses = torch.stack(
            [cross_entropy(one.float(), labels, ignore_index=-1, label_smoothing=_SMOOTHING) for one in scores]
        )
        losses.sum().backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.optimizer.max_grad_norm or float("inf"))
        finite.watch(step + 1, losses.sum(), norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        means += losses.detach().cpu().numpy() / _LOG
        if (step + 1) % _LOG == 0:
            speed = (step + 1) * recipe.batch_size / (time.perf_counter() - begun)
            shown = ", ".join(f"{loss:.3f}" for loss in means)
            typer.echo(
                f"step {step + 1}/{steps}  loss of video, audio, both {shown}  {speed:.1f} windows/s", err=True
            )
            means[:] = 0
    finite.check()
    Checkpoint(
        recipe=recipe.to_values() | {"description": _DESCRIPTION, "objective": "cross-entropy", "shared": None},
        step=steps,
        data=describe_data(data, cache),
        provenance={"revision": revision(), "versions": versions()},
        encoders=model.pair.cpu().state_dict(),
        training={},
    ).save(run / LAST)


def _batches(cache: Cache, recipe: Recipe) -> Iterator[tuple[int, Batch]]:
    """Windows as the pretraining draws them, one of a clip at a time."""
    sampling = replace(recipe.sampling, views=1)
    loader = make_loader(
        cache,
        sampling,
        recipe.batch_size,
        recipe.steps,
        seed=recipe.seed,
        workers=1,
        required_streams=recipe.required_streams,
    )
    with loading(loader) as batches:
        yield from enumerate(batches)


def _events(cache: Cache, world: tuple[SyntheticVideo, ...]) -> NDArray[np.int64]:
    """When each item's class is seen or heard, in microseconds; all of the time for what is not made."""
    known = {video.id: (video.start * MICROSECONDS, video.end * MICROSECONDS) for video in world}
    whole = (0, np.iinfo(np.int64).max)
    # A video of another world fails here, rather than counting as an event from end to end.
    spans = [known[row.name.rpartition("/")[2]] if row.name.startswith(PREFIX) else whole for row in cache.rows]
    return np.array(spans, dtype=np.int64)


def _labels(batch: Batch, events: NDArray[np.int64], seconds: float) -> NDArray[np.int64]:
    """Classes of the windows that lie in the event for half of their time or more; -1 for the others."""
    item, start = batch["item"].numpy(), batch["video_start"].numpy()[:, 0]
    span = (batch["speed"].numpy()[:, 0] * seconds * MICROSECONDS).astype(np.int64)
    begin, end = events[item].T
    inside = np.minimum(start + span, end) - np.maximum(start, begin)
    return np.where(2 * inside >= span, batch["label"].numpy(), -1)
