from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from avfeat.errors import ArgumentError
from avfeat.training.objectives import MomentumCopy, momentum_at


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2, bias=False))


def moved(source: nn.Module, step: int) -> None:
    """As if trained: other weights, other statistics."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for one in source.parameters():
            one.add_(torch.randn(one.shape, generator=generator))
    source(torch.randn(5, 3, generator=generator))


def test_parameters_and_statistics_are_averaged_and_counters_copied() -> None:
    source = network()
    copy = MomentumCopy(source)
    expected = {name: one.clone().double() for name, one in source.state_dict().items()}
    for step, momentum in enumerate([0.9, 0.5, 0.99]):
        moved(source, step)
        copy.update(source, momentum)
        for name, one in source.state_dict().items():
            if "num_batches" in name:
                expected[name] = one.clone()
            else:
                expected[name] = momentum * expected[name] + (1 - momentum) * one
    found = copy.module.state_dict()
    assert found["1.num_batches_tracked"] == 3 and found["1.running_mean"].any()
    for name, one in expected.items():
        torch.testing.assert_close(found[name].double(), one.double(), rtol=1e-5, atol=1e-6)


def test_momentum_0_copies_and_1_keeps() -> None:
    source = network()
    copy = MomentumCopy(source)
    before = {name: one.clone() for name, one in copy.module.named_parameters()}
    moved(source, 1)
    copy.update(source, 1.0)
    assert all(torch.equal(one, before[name]) for name, one in copy.module.named_parameters())
    copy.update(source, 0.0)
    assert all(torch.equal(one, source.state_dict()[name]) for name, one in copy.module.state_dict().items())


def test_the_copy_is_its_own_and_has_no_gradient() -> None:
    source = network()
    copy = MomentumCopy(source)
    mine, its = ({one.data_ptr() for one in module.state_dict().values()} for module in (copy, source))
    assert not mine & its
    assert not any(one.requires_grad for one in copy.parameters())
    assert all(one.requires_grad for one in source.parameters())
    given_ = torch.randn(4, 3, requires_grad=True)
    assert not copy(given_).requires_grad


def test_it_stays_in_training_mode_as_published() -> None:
    copy = MomentumCopy(network().train())
    batch = torch.randn(6, 3)
    normed = copy.module[1](copy.module[0](batch))
    torch.testing.assert_close(normed.mean(0), torch.zeros(4), atol=1e-6, rtol=0)
    before = copy.module[1].running_mean.clone()
    copy(batch)
    assert not torch.equal(copy.module[1].running_mean, before)


def test_state_goes_round() -> None:
    source = network()
    copy, other = MomentumCopy(source), MomentumCopy(network())
    moved(source, 3)
    copy.update(source, 0.7)
    other.load_state_dict(copy.state_dict())
    moved(source, 4)
    for one in (copy, other):
        one.update(source, 0.3)
    states: list[dict[str, Tensor]] = [one.state_dict() for one in (copy, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_another_build_is_refused() -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        MomentumCopy(network()).update(nn.Linear(3, 4), 0.5)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_schedule_is_the_published_cosine(progress: float, base: float) -> None:
    expected = 1.0 - 0.5 * (1.0 + math.cos(math.pi * progress)) * (1.0 - base)
    assert momentum_at(progress, base) == pytest.approx(expected, abs=1e-12)
    assert base - 1e-12 <= momentum_at(progress, base) <= momentum_at(min(1, progress + 0.01), base) + 1e-12 <= 1.1


def test_the_schedule_goes_from_base_to_1() -> None:
    assert momentum_at(0, 0.99) == pytest.approx(0.99)
    assert momentum_at(0.5, 0.99) == pytest.approx(0.995)
    assert momentum_at(1, 0.99) == 1
    for progress, base in ((-0.1, 0.9), (1.1, 0.9), (math.nan, 0.9), (0.5, 1.5)):
        with pytest.raises(ArgumentError, match="must be from 0 to 1"):
            momentum_at(progress, base)
