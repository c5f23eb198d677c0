from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import small
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from avfeat.training.recipes import OptimizerSettings
from avfeat.training.trainer.model import Pretraining
from avfeat.training.trainer.optimizer import build_optimizer, rate_at, set_rate


@pytest.mark.parametrize(
    ("steps", "warmup", "final"), [(20, 0.25, 0.0), (37, 0.1, 0.2), (10, 0.0, 0.0), (12, 0.5, 1.0)]
)
def test_the_rate_is_torchs_own_schedule(steps: int, warmup: float, final: float) -> None:
    chosen = OptimizerSettings(lr=0.3, warmup=warmup, min_lr_ratio=final)
    rising = round(warmup * steps)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule: Any = CosineAnnealingLR(optimizer, steps - rising, eta_min=0.3 * final)
    if rising:
        # It begins with one step's part of the way, as a rate of 0 would do nothing.
        warm = LinearLR(optimizer, 1 / rising, 1.0, total_iters=max(1, rising - 1))
        schedule = SequentialLR(optimizer, [warm, schedule], [rising])
    for step in range(steps):
        assert rate_at(step, steps, chosen, 8) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9), step
        optimizer.step()
        schedule.step()


@settings(max_examples=60)
@given(st.integers(1, 500), st.floats(0, 1), st.floats(0, 1), st.integers(1, 4096))
def test_the_rate_is_never_above_the_peak_nor_0_at_once(
    steps: int, warmup: float, final: float, batch: int
) -> None:
    chosen = OptimizerSettings(lr=0.5, warmup=warmup, min_lr_ratio=final, scaling="linear")
    rates = [rate_at(step, steps, chosen, batch) for step in range(steps)]
    peak = 0.5 * batch / 256
    assert 0 < rates[0] <= peak * (1 + 1e-12) and max(rates) <= peak * (1 + 1e-12)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert all(one >= other - 1e-15 for one, other in zip(rates[top:], rates[top + 1 :], strict=False))


@pytest.mark.parametrize(("scaling", "peak"), [("none", 0.4), ("linear", 0.1), ("sqrt", 0.2)])
def test_peaks_scale_with_the_batch(scaling: Any, peak: float) -> None:
    assert OptimizerSettings(lr=0.4, scaling=scaling).peak(64) == pytest.approx(peak)


def built(name: str, **changes: Any) -> tuple[Pretraining, torch.optim.Optimizer]:
    recipe = small(**{"optimizer": {"name": name, "lr": 0.1, "weight_decay": 0.05}} | changes)
    torch.manual_seed(0)
    model = Pretraining(recipe)
    return model, build_optimizer(model, recipe.optimizer, recipe.batch_size)


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
@pytest.mark.parametrize("objective", ["simsiam", "byol"])
def test_norms_and_biases_have_no_decay(name: str, objective: str) -> None:
    model, optimizer = built(name, objective__name=objective)
    names = {id(one): key for key, one in model.named_parameters()}
    found: dict[str, dict[str, Any]] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert names[id(parameter)] not in found
            found[names[id(parameter)]] = group
    assert found.keys() == {key for key, one in model.named_parameters() if one.requires_grad}
    assert "targets" not in "".join(found)
    for key, group in found.items():
        parameter = dict(model.named_parameters())[key]
        assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0.0)
        predictor = key.startswith("objective.predictors.")
        assert group["fixed"] == (predictor and objective == "simsiam")
    assert any(group["fixed"] for group in found.values()) == (objective == "simsiam")


def test_frozen_parameters_are_not_in_the_optimizer() -> None:
    pairs = {"video_video": 1.0, "audio_audio": 0.0, "video_audio": 0.0}
    model, optimizer = built("adamw", objective__pairs=pairs, shared__weight=0.0)
    moved = {id(one) for group in optimizer.param_groups for one in group["params"]}
    assert not moved & {id(one) for one in model.pair.audio.parameters()}
    assert {id(one) for one in model.pair.video.backbone.parameters()} <= moved


def test_all_groups_get_the_rate_but_fixed_ones() -> None:
    _, optimizer = built("sgd", objective__name="simsiam")
    set_rate(optimizer, 0.01, 0.1)
    assert {(group["fixed"], group["lr"]) for group in optimizer.param_groups} == {(False, 0.01), (True, 0.1)}


@pytest.mark.parametrize("decay", [0.05, 0.0])
def test_lars_is_the_papers(decay: float) -> None:
    """You et al., arXiv 1708.03888, algorithm 1: two steps at one rate, of weights; biases and norms as SGD."""
    recipe = small(
        optimizer={"name": "lars", "lr": 0.3, "weight_decay": decay, "trust_coefficient": 0.02, "momentum": 0.8}
    )
    torch.manual_seed(0)
    model = Pretraining(recipe)
    optimizer = build_optimizer(model, recipe.optimizer, recipe.batch_size)
    expected = {name: one.detach().clone().double() for name, one in model.named_parameters()}
    velocity = {name: torch.zeros_like(one) for name, one in expected.items()}
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        for name, parameter in model.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            gradient, weight = parameter.grad.double(), expected[name]
            local = 1.0
            if parameter.ndim > 1:
                length = weight.norm()
                local = 0.02 * length / (gradient.norm() + decay * length)
                gradient = gradient + decay * weight
            velocity[name] = 0.8 * velocity[name] + 0.3 * local * gradient
            expected[name] = weight - velocity[name]
        optimizer.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach().double(), expected[name], rtol=1e-5, atol=1e-6)
