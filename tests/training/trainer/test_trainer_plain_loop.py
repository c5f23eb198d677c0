"""A training by ``train`` is the loop that anyone would write: these use nothing of the trainer."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import lines, ran, small, state
from torch import Tensor

from avfeat.training.augment import Clips, SampleRNG
from avfeat.training.data import Cache
from avfeat.training.data.loader import make_loader
from avfeat.training.data.randomness import generator
from avfeat.training.networks import build_pair
from avfeat.training.networks.channels_last import to_channels_last
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.objectives import build_objective
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.shared import info_nce
from avfeat.training.recipes import Recipe

STEPS = 20


def plain_loop(cache: Cache, recipe: Recipe) -> tuple[list[float], dict[str, Tensor]]:
    """Losses of all steps and the encoders' weights; every clip has video and audio, and there are two views."""
    torch.manual_seed(recipe.seed)
    pair = build_pair(recipe.encoders)
    choice, settings, batch = recipe.objective, recipe.optimizer, recipe.batch_size
    dims: Any = {"video": pair.video.dim, "audio": pair.audio.dim}
    objective = build_objective(choice.name, dims, choice.settings[choice.name], choice.pairs)
    to_channels_last(torch.nn.ModuleList([pair, objective]))
    log_mel, base = LogMel(), getattr(objective.settings, "base_momentum", None)
    slow = copy.deepcopy(pair) if base is not None else None
    trained = [*pair.parameters(), *(p for p in objective.parameters() if p.requires_grad)]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer: torch.optim.Optimizer
    if settings.name == "adamw":
        optimizer = torch.optim.AdamW(groups, betas=(settings.momentum, 0.999))
    else:
        optimizer = torch.optim.SGD(groups, momentum=settings.momentum)
    losses = []
    for step, loaded in enumerate(make_loader(cache, recipe.sampling, batch, recipe.steps, seed=recipe.seed)):
        seeds = torch.from_numpy(generator("augment", recipe.seed, step, 0).integers(0, 1 << 62, 2 * batch))
        pixels = loaded["frames"].flatten(0, 1).permute(0, 1, 4, 2, 3).float() / 255
        clips = recipe.augment(Clips(pixels, loaded["waveform"].flatten(0, 1), 16_000), SampleRNG(seeds))
        inputs = {"video": clips.frames, "audio": log_mel(clips.waveform)}
        features = {name: getattr(pair, name).backbone(one) for name, one in inputs.items()}
        views: Any = {name: [one[0::2], one[1::2]] for name, one in features.items()}
        aims: Any = None
        if slow is not None:
            with torch.no_grad():
                found = {name: getattr(slow, name).backbone(one) for name, one in inputs.items()}
            aims = {name: [one[0::2], one[1::2]] for name, one in found.items()}
        everyone = torch.ones(batch, dtype=torch.bool)
        loss = objective(views, aims, {"video": everyone, "audio": everyone}).total
        for_projection = {
            name: getattr(pair, name).projection(one if recipe.shared.reach == "encoder" else one.detach())
            for name, one in features.items()
        }
        video, audio = for_projection["video"], for_projection["audio"]
        heat, rows = recipe.shared.temperature, GatheredRows.from_mask(everyone)
        shared = [info_nce(video[view::2], audio[view::2], rows, heat) for view in (0, 1)]
        loss = loss + recipe.shared.weight * (shared[0] + shared[1]) / 2
        loss.backward()
        if settings.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(trained, settings.max_grad_norm)
        rising = round(settings.warmup * recipe.steps)
        falling = (1 + math.cos(math.pi * (step - rising) / (recipe.steps - rising))) / 2
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * ((step + 1) / rising if step < rising else falling)
        optimizer.step()
        optimizer.zero_grad()
        if slow is not None and base is not None:
            momentum = 1 - (1 + math.cos(math.pi * (step + 1) / recipe.steps)) / 2 * (1 - base)
            with torch.no_grad():
                for name, one in slow.state_dict().items():
                    if one.is_floating_point():
                        one.lerp_(pair.state_dict()[name], 1 - momentum)
            objective.update_target(momentum)
        losses.append(loss.item())
    return losses, pair.state_dict()


RECIPES = {
    "simclr, AdamW": {"optimizer__max_grad_norm": 2.0, "optimizer__warmup": 0.25, "shared__reach": "encoder"},
    "byol, SGD": {"objective__name": "byol", "optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 1e-3}},
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_is_the_plain_loop_bit_for_bit(cache: Cache, tmp_path: Path, name: str) -> None:
    recipe = small(steps=STEPS, **RECIPES[name])
    ran(cache, tmp_path, recipe)
    losses, weights = plain_loop(cache, recipe)
    assert [line["loss"] for line in lines(tmp_path)] == losses
    assert losses[-1] < losses[0]
    found = state(tmp_path)["encoders"]
    assert found.keys() == weights.keys()
    assert [key for key in weights if not torch.equal(weights[key], found[key])] == []
