"""What a trainer does around a step: trials, costs, batches, means."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import ALONE, copied, differences, small, trainer
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.training.augment import Clips, SampleRNG
from avfeat.training.data import Cache
from avfeat.training.objectives import Kind
from avfeat.training.trainer.meter import Meter, peak_memory
from avfeat.training.trainer.model import StepOutput
from avfeat.training.trainer.process import Process
from avfeat.training.trainer.views import augment_views, seeds_of, to_device


@pytest.mark.parametrize("changes", [{}, {"objective__name": "byol", "grad_accumulation_steps": 2}])
def test_a_trial_leaves_no_trace(cache: Cache, changes: dict[str, Any]) -> None:
    one = trainer(cache, small(steps=4, **changes))
    with one.batches(0) as batches:
        one.step(0, batches)
        before, drawn = copied(one.model), torch.get_rng_state()
        optimizer = {key: dict(value) for key, value in one.optimizer.state_dict()["state"].items()}
        layout = {name: parameter.stride() for name, parameter in one.model.named_parameters()}
        meter = one.meter.state()
        assert one.trial() > 0
    assert differences(copied(one.model), before) == []
    assert differences(one.optimizer.state_dict()["state"], optimizer) == []
    assert differences(one.meter.state(), meter) == []
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(parameter.grad is None for parameter in one.model.parameters())
    assert {name: parameter.stride() for name, parameter in one.model.named_parameters()} == layout


def test_building_leaves_the_global_generator(cache: Cache) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, second = (trainer(cache, small(seed=5)) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert differences(copied(first.model), copied(second.model)) == []
    assert differences(copied(first.model), copied(trainer(cache, small(seed=6)).model)) != []


def test_the_cost_is_counted(cache: Cache) -> None:
    recipe = small(steps=10)
    one = trainer(cache, recipe)
    cost = one.cost(4, 2.0)
    pair = one.model.pair
    sizes = {name: sum(p.numel() for p in getattr(pair, name).parameters()) for name in ("video", "audio")}
    # Projectors of two layers with their norms, 256 to 32 to 32, for each modality.
    heads = 2 * (256 * 32 + 2 * 32 + 32 * 32 + 2 * 32)
    assert cost.parameters == {**sizes, "heads": heads}
    assert (cost.steps, cost.batch_size, cost.clips, cost.processes, cost.device) == (6, 8, 56, 1, "cpu")
    assert cost.epochs == pytest.approx(6 * 8 / 56) and cost.seconds == 12.0


def test_frozen_parameters_cost_nothing(cache: Cache) -> None:
    pairs = {"video_video": 1.0, "audio_audio": 0.0, "video_audio": 0.0}
    cost = trainer(cache, small(objective__pairs=pairs, shared__weight=0.0)).cost(0, 1.0)
    assert cost.parameters["audio"] == 0 < cost.parameters["video"]


def test_clips_without_a_stream_take_part_or_not(mixed: Cache) -> None:
    assert trainer(mixed, small()).cost(0, 1.0).clips == 14
    assert trainer(mixed, small(required_streams="both")).cost(0, 1.0).clips == 9


def test_a_batch_that_cannot_be_shared_is_refused(cache: Cache) -> None:
    for world_size, grad_accumulation_steps, batch in ((3, 1, 8), (8, 1, 8), (2, 3, 12)):
        recipe = small(batch_size=batch, grad_accumulation_steps=grad_accumulation_steps)
        one = Process(0, world_size, ALONE.device)
        if (
            batch % (world_size * grad_accumulation_steps) == 0
            and batch // (world_size * grad_accumulation_steps) >= 2
        ):
            continue
        with pytest.raises(ArgumentError, match=f"batch_size {batch} cannot be shared by {world_size} processes"):
            trainer(cache, recipe, one)


def test_passes_of_a_step_are_the_loaders_in_turn(cache: Cache) -> None:
    one = trainer(cache, small(steps=3, grad_accumulation_steps=2))
    with one.batches(1) as batches:
        found = [batch["item"].tolist() for batch in batches]
    with one.batches(0) as batches:
        whole = [batch["item"].tolist() for batch in batches]
    assert len(whole) == 6 and found == whole[2:] and {len(items) for items in whole} == {4}


def test_gradients_of_passes_are_averaged(cache: Cache) -> None:
    """Two passes move weights by the mean of their gradients."""
    plain = {"name": "sgd", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "warmup": 0.0}
    one = trainer(cache, small(steps=2, grad_accumulation_steps=2, optimizer=plain))
    other = trainer(cache, one.recipe)
    with other.batches(0) as batches:
        for number in range(2):
            other.forward_backward(next(batches), number)
    expected = {name: p.grad.clone() for name, p in other.model.named_parameters() if p.grad is not None}
    before = copied(one.model)
    with one.batches(0) as batches:
        one.step(0, batches)
    for name, gradient in expected.items():
        torch.testing.assert_close(one.model.state_dict()[name], before[name] - 0.1 * gradient)


def batch(size: int = 3, views: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "frames": torch.randint(0, 256, (size, views, 4, 32, 32, 3), dtype=torch.uint8, generator=generator),
        "waveform": torch.randn(size, views, 16_000, generator=generator) / 4,
        "has_video": torch.tensor([True, True, False]),
        "has_audio": torch.tensor([False, True, True]),
        "item": torch.arange(size),
    }


def test_views_are_augmented_one_by_one_and_in_order() -> None:
    recipe, given = small(), batch()
    seeds = seeds_of(3, 7, 0, 6)
    found = augment_views(to_device(given, ALONE.device, ("video", "audio")), recipe.augment, 16_000, seeds)
    assert found.frames is not None and found.waveform is not None
    assert found.frames.shape == (6, 4, 3, 32, 32) and found.waveform.shape == (6, 16_000)
    assert torch.equal(found.present["video"], given["has_video"])
    for clip in range(3):
        for view in range(2):
            place = 2 * clip + view
            pixels = given["frames"][clip, view].permute(0, 3, 1, 2).float()[None] / 255
            alone = recipe.augment(
                Clips(pixels, given["waveform"][clip, view][None], 16_000), SampleRNG(seeds[[place]])
            )
            torch.testing.assert_close(found.frames[place], alone.frames[0])  # type: ignore[index]
            torch.testing.assert_close(found.waveform[place], alone.waveform[0])  # type: ignore[index]


def test_seeds_depend_on_the_place_alone() -> None:
    first = seeds_of(1, 2, 3, 4)
    assert first.dtype == torch.int64 and torch.equal(first, seeds_of(1, 2, 3, 4)) and len(set(first.tolist())) == 4
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert not set(seeds_of(*other, 4).tolist()) & set(first.tolist())


def test_what_no_loss_looks_at_does_not_travel() -> None:
    assert set(to_device(batch(), ALONE.device, ("audio",))) == {"waveform", "has_video", "has_audio"}
    found = augment_views(
        to_device(batch(), ALONE.device, ("video",)), small().augment, 16_000, seeds_of(0, 0, 0, 6)
    )
    assert found.waveform is None and found.frames is not None


def outcome(total: float, shared: float | None, distillation: float | None = None) -> StepOutput:
    given = [None if one is None else torch.tensor(one) for one in (shared, distillation)]
    terms: dict[Kind, Tensor] = {"video_video": torch.tensor(total * 2)}
    return StepOutput(torch.tensor(total), torch.tensor(total / 2), terms, *given, {}, {})


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_means_are_over_steps_and_passes_and_survive(cut: int) -> None:
    meter = Meter()
    steps = [([1.0, 3.0], 0.5), ([2.0, 2.0], 1.5), ([5.0, 7.0], 4.0)]
    for number, (totals, norm) in enumerate(steps):
        if number == cut:
            state = meter.state()
            meter = Meter()
            meter.load(state, ALONE.device)
        meter.add([outcome(total, 1.0) for total in totals], torch.tensor(norm), 8)
    found = meter.take(ALONE)
    assert found["loss"] == pytest.approx(10 / 3) and found["objective"] == pytest.approx(5 / 3)
    assert found["video_video"] == pytest.approx(20 / 3) and found["shared"] == pytest.approx(1)
    assert found["grad_norm"] == pytest.approx(2)
    assert "distillation" not in found
    meter.add([outcome(9.0, None, 0.5), outcome(9.0, None, 1.5)], torch.tensor(1.0), 8)
    again = meter.take(ALONE)
    assert again["loss"] == 9 and again["distillation"] == 1 and "shared" not in again


def test_times_are_shares_and_rates() -> None:
    meter = Meter()
    with meter.waiting():
        time.sleep(0.05)
    meter.add([outcome(1.0, None)], torch.tensor(1.0), 100)
    time.sleep(0.05)
    found = meter.take(ALONE)
    assert 0.02 < found["waiting"] < 0.98 and 0 < found["clips_per_second"] < 1000


def test_memory_is_in_bytes() -> None:
    before = peak_memory(ALONE.device)
    held = torch.ones(30_000_000)
    assert before > 50_000_000 and peak_memory(ALONE.device) >= before and held.sum() > 0


def test_a_recipe_may_ask_for_workers(cache: Cache, tmp_path: Path) -> None:
    one = trainer(cache, small(workers=None))
    assert one._workers() == 1
    assert trainer(cache, small(workers=3))._workers() == 3
