from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avfeat.training.augment.sample_rng import SampleRNG, _bank

SEEDS = torch.randint(0, 1 << 62, (50_000,), generator=torch.Generator().manual_seed(1))


def test_numbers_are_spread_evenly() -> None:
    rng = SampleRNG(SEEDS)
    for numbers in (rng.uniform(), rng.uniform(count=3)[:, 2], rng.fork("x").uniform()):
        assert numbers.min() >= 0
        assert numbers.max() < 1
        counts = np.histogram(numbers.numpy(), bins=20, range=(0, 1))[0]
        # Chi-squared with 19 degrees of freedom: beyond 50 once in 7,000 times.
        assert ((counts - 2500) ** 2 / 2500).sum() < 50
    whole = rng.integers(-15, 15)
    assert set(whole.tolist()) == set(range(-15, 15))
    assert rng.chance(0.3).float().mean() == pytest.approx(0.3, abs=0.01)
    assert not rng.chance(0.0).any()
    assert rng.chance(1.0).all()


def test_streams_seeds_and_places_are_independent() -> None:
    rng = SampleRNG(SEEDS)
    numbers = [rng.uniform(), rng.uniform(), rng.fork("a").uniform(), rng.fork("b").uniform()]
    numbers += [
        *rng.uniform(count=2).unbind(1),
        SampleRNG(SEEDS + 1).uniform(),
        SampleRNG(SEEDS ^ (1 << 40)).uniform(),
    ]
    correlation = np.corrcoef(torch.stack(numbers).numpy())
    # Of 50,000 independent numbers: 0.02 is more than four standard deviations.
    assert np.abs(correlation - np.eye(len(numbers))).max() < 0.02


@given(st.integers(1, 9))
def test_orders_are_permutations_and_all_occur(count: int) -> None:
    orders = SampleRNG(SEEDS[:5000]).order(count)
    np.testing.assert_array_equal(orders.sort(dim=1).values, torch.arange(count).expand(5000, count))
    first = np.bincount(orders[:, 0].numpy(), minlength=count)
    assert first.min() > 5000 / count * 0.8


def test_noise_is_gaussian_and_differs_between_samples() -> None:
    noise = SampleRNG(SEEDS[:40]).normal(3, 1000)
    assert noise.shape == (40, 3, 1000)
    assert noise.mean().abs() < 0.02
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert noise.abs().max() > 3.5
    correlation = np.corrcoef(noise.flatten(1).numpy())
    assert np.abs(correlation - np.eye(40)).max() < 0.1
    # No period within a clip's worth of frames.
    long = SampleRNG(SEEDS[:2]).normal(600_000)
    assert not torch.equal(long[:, :1000], long[:, -1000:])
    assert len(torch.unique(long[0])) > 500_000


def test_a_sample_draws_the_same_alone_and_in_any_batch() -> None:
    rng, alone = SampleRNG(SEEDS[:7]), SampleRNG(SEEDS[4:5])
    for name, arguments in (
        ("uniform", ()), ("uniform", (0, 1, 5)), ("integers", (0, 9)), ("order", (6,)), ("normal", (2, 3)),
    ):  # fmt: skip
        torch.testing.assert_close(getattr(rng, name)(*arguments)[4:5], getattr(alone, name)(*arguments))


def test_an_explicit_generator_gives_the_seeds() -> None:
    first, again, other = (
        SampleRNG.from_generator(torch.Generator().manual_seed(seed), 4).uniform() for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_forks_do_not_depend_on_what_was_drawn_before() -> None:
    early, late = SampleRNG(SEEDS[:3]), SampleRNG(SEEDS[:3])
    late.uniform()
    assert torch.equal(early.fork("x").uniform(), late.fork("x").uniform())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_draws_the_same() -> None:
    here, there = SampleRNG(SEEDS[:9]), SampleRNG(SEEDS[:9].cuda())
    torch.testing.assert_close(here.uniform(count=4), there.uniform(count=4).cpu(), rtol=0, atol=0)
    torch.testing.assert_close(here.order(16), there.order(16).cpu(), rtol=0, atol=0)
    torch.testing.assert_close(here.normal(5, 7), there.normal(5, 7).cpu(), rtol=0, atol=0)


def test_noise_comes_with_both_signs() -> None:
    noise = SampleRNG(SEEDS[:2000]).normal(4)
    bank = _bank(noise.device, 2).unfold(0, 4, 1)
    known = {tuple(row) for row in bank.tolist()}
    positive = np.mean([tuple(row) in known for row in noise.tolist()])
    assert positive == pytest.approx(0.5, abs=0.06)
