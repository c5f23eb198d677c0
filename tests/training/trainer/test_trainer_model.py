from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import copied, small
from torch import Tensor, nn

from avfeat.errors import ArgumentError
from avfeat.training.objectives import momentum_at
from avfeat.training.trainer.model import Pretraining, count_parameters

BATCH = 6
ALL = torch.ones(BATCH, dtype=torch.bool)
SOME = torch.tensor([1, 0, 1, 1, 0, 1], dtype=torch.bool)
NONE = torch.zeros(BATCH, dtype=torch.bool)


def model(**changes: Any) -> Pretraining:
    torch.manual_seed(0)
    return Pretraining(small(**changes))


def views(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(2 * BATCH, 4, 3, 32, 32, generator=generator)
    return frames, torch.randn(2 * BATCH, 16_000, generator=generator) / 5


def spoilt(views: Tensor, present: Tensor) -> Tensor:
    """Nothing but NaN where nothing is."""
    views = views.clone()
    views[~present.repeat_interleave(2)] = torch.nan
    return views


def gradients(network: nn.Module) -> dict[str, Tensor | None]:
    return {name: None if one.grad is None else one.grad.clone() for name, one in network.named_parameters()}


def clear(network: nn.Module) -> None:
    for one in network.parameters():
        one.grad = None


@pytest.mark.parametrize("name", ["simclr", "byol", "barlow_twins"])
@pytest.mark.parametrize("other", ["zeros", "noise", "nan"])
def test_what_stands_in_for_a_missing_stream_changes_nothing(name: str, other: str) -> None:
    frames, waveform = views()
    results = []
    for stands in ("zeros", other):
        network = model(objective__name=name, shared__reach="encoder")
        sound = waveform.clone()
        hole = ~SOME.repeat_interleave(2)
        sound[hole] = {"zeros": torch.zeros, "noise": torch.rand, "nan": lambda *s: torch.full(s, torch.nan)}[
            stands
        ](int(hole.sum()), 16_000)
        outcome = network(frames, sound, {"video": ALL, "audio": SOME})
        outcome.total.backward()
        results.append((outcome.total.detach(), gradients(network), copied(network)))
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert bool(torch.isfinite(results[1][0]))


def test_clips_without_sound_do_not_change_what_pictures_learn() -> None:
    frames, waveform = views()
    found = []
    for there in (ALL, SOME, NONE):
        network = model(
            objective__pairs={"video_video": 1.0, "audio_audio": 1.0, "video_audio": 0.0}, shared__weight=0.0
        )
        outcome = network(frames, spoilt(waveform, there), {"video": ALL, "audio": there})
        outcome.total.backward()
        statistics = {name: one.clone() for name, one in network.pair.video.backbone.named_buffers()}
        found.append((outcome.terms["video_video"], gradients(network.pair.video.backbone), statistics))
    for one in found[1:]:
        torch.testing.assert_close(one, found[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", ["simclr", "byol"])
def test_a_batch_without_any_sound_leaves_its_statistics(name: str) -> None:
    network = model(objective__name=name, shared__reach="encoder")
    before = copied(network)
    frames, waveform = views()
    outcome = network(frames, spoilt(waveform, NONE), {"video": ALL, "audio": NONE})
    outcome.total.backward()
    assert bool(torch.isfinite(outcome.total)) and outcome.shared == 0 and outcome.terms["audio_audio"] == 0
    moved = {key for key, one in network.state_dict().items() if not torch.equal(one, before[key])}
    running = {key for key in moved if "running" in key}
    assert any(key.startswith("pair.video.backbone") for key in running)
    assert not any(key.startswith(("pair.audio", "targets.module.audio")) for key in running)
    for parameter in network.pair.audio.parameters():
        assert parameter.grad is not None and not parameter.grad.any()
    assert {layer.momentum for layer in network.pair.modules() if isinstance(layer, nn.BatchNorm2d)} == {0.1}


ONE_KIND = {"video_video": 0.0, "audio_audio": 0.0, "video_audio": 0.0}


@pytest.mark.parametrize(
    ("changes", "trained"),
    [
        ({}, {"pair.video.backbone", "pair.audio.backbone", "pair.video.projection", "pair.audio.projection"}),
        ({"shared__weight": 0.0}, {"pair.video.backbone", "pair.audio.backbone"}),
        ({"shared__weight": 0.0, "objective__pairs": {**ONE_KIND, "video_video": 1}}, {"pair.video.backbone"}),
        (
            {"objective__pairs": {**ONE_KIND, "audio_audio": 1}},
            {"pair.audio.backbone", "pair.video.projection", "pair.audio.projection"},
        ),
        (
            {"objective__pairs": {**ONE_KIND, "audio_audio": 1}, "shared__reach": "encoder"},
            {"pair.video.backbone", "pair.audio.backbone", "pair.video.projection", "pair.audio.projection"},
        ),
    ],
)
def test_what_nothing_trains_is_frozen(changes: dict[str, Any], trained: set[str]) -> None:
    network = model(**changes)
    frames, waveform = views()
    network(frames, waveform, {"video": ALL, "audio": ALL}).total.backward()
    named = dict(network.named_parameters())
    asked = {name for name, one in named.items() if one.requires_grad}
    assert asked == {name for name, one in named.items() if one.grad is not None}
    assert {".".join(name.split(".")[:3]) for name in asked if name.startswith("pair")} == trained


def test_the_projection_gives_no_gradient_to_backbones_unless_told() -> None:
    frames, waveform = views()
    networks = {
        key: model(shared__reach=reach, shared__weight=weight)
        for key, reach, weight in (
            ("alone", "projection", 0.0),
            ("near", "projection", 5.0),
            ("far", "encoder", 5.0),
        )
    }
    found = {}
    for key, network in networks.items():
        network(frames, waveform, {"video": ALL, "audio": SOME}).total.backward()
        found[key] = gradients(network.pair.video.backbone)
    torch.testing.assert_close(found["near"], found["alone"], rtol=0, atol=0)
    assert any(not torch.allclose(found["far"][name], one) for name, one in found["alone"].items())  # type: ignore


def test_momentum_copies_move_as_told() -> None:
    network = model(objective__name="byol")
    assert network.targets is not None and network.objective.targets is not None
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape))
    before = copied(network)
    momentum = momentum_at(0.3, 0.9)
    assert momentum == pytest.approx(1 - (1 + math.cos(0.3 * math.pi)) / 2 * 0.1)
    network.update_targets(momentum)
    after = network.state_dict()
    sources = {
        "targets.module.": lambda name: f"pair.{name.replace('.', '.backbone.', 1)}",
        "objective.targets.module.": lambda name: f"objective.projectors.{name}",
    }
    seen = 0
    for prefix, source in sources.items():
        for key in [key for key in after if key.startswith(prefix) and after[key].is_floating_point()]:
            expected = momentum * before[key] + (1 - momentum) * before[source(key.removeprefix(prefix))]
            torch.testing.assert_close(after[key], expected, rtol=1e-5, atol=1e-6)
            seen += not torch.equal(after[key], before[key])
        others = [key for key in after if not key.startswith(tuple(sources))]
        assert all(torch.equal(after[key], before[key]) for key in others)
    assert seen > 20 and network.base_momentum == 0.99
    assert model().base_momentum is None and model().targets is None
    plain = model()
    state = copied(plain)
    plain.update_targets(0.5)
    assert all(torch.equal(one, state[key]) for key, one in plain.state_dict().items())


def test_the_spectrogram_stays_in_full_precision() -> None:
    network = model()
    seen: dict[str, Tensor] = {}
    network.log_mel.register_forward_hook(lambda _, given, out: seen.update(given=given[0], out=out))
    network.pair.audio.backbone.register_forward_hook(lambda _, given, out: seen.update(features=out))
    frames, waveform = views()
    with torch.autocast("cpu", torch.bfloat16):
        outcome = network(frames, waveform, {"video": ALL, "audio": ALL})
    assert seen["out"].dtype == torch.float32
    assert torch.equal(seen["out"], network.log_mel(waveform))
    full = network(frames, waveform, {"video": ALL, "audio": ALL})
    assert outcome.total.dtype == torch.float32 and not torch.equal(outcome.total, full.total)
    torch.testing.assert_close(outcome.total, full.total, rtol=0.1, atol=0)


def test_what_no_loss_looks_at_is_not_computed() -> None:
    network = model(objective__pairs={**ONE_KIND, "video_video": 1}, shared__weight=0.0)
    frames, _ = views()
    before = copied(network.pair.audio)
    outcome = network(frames, None, {"video": SOME, "audio": NONE})
    assert network.modalities == ("video",)
    assert list(outcome.projections) == ["video"] and outcome.shared is None and outcome.embeddings == {}
    assert all(torch.equal(one, before[key]) for key, one in network.pair.audio.state_dict().items())


def test_the_total_is_objective_and_shared_by_weight() -> None:
    frames, waveform = views()
    outcome = model(shared__weight=2.5)(frames, waveform, {"video": ALL, "audio": SOME})
    assert outcome.shared is not None and outcome.shared > 0
    torch.testing.assert_close(outcome.total.detach(), outcome.objective + 2.5 * outcome.shared)
    assert {name: [tuple(one.shape) for one in sides] for name, sides in outcome.projections.items()} == {
        "video": [(BATCH, 32)] * 2,
        "audio": [(BATCH, 32)] * 2,
    }
    assert outcome.embeddings["audio"].shape == (2 * BATCH, 16)
    assert not any(one.requires_grad for one in (outcome.objective, outcome.shared, *outcome.terms.values()))


def test_views_of_a_clip_are_next_to_each_other() -> None:
    """Swapping the two views of all clips swaps them in the outcome and changes no loss."""
    frames, waveform = views()
    swap = torch.arange(2 * BATCH).view(-1, 2).flip(1).flatten()
    one = model()(frames, waveform, {"video": ALL, "audio": ALL})
    other = model()(frames[swap], waveform[swap], {"video": ALL, "audio": ALL})
    torch.testing.assert_close(one.total, other.total)
    torch.testing.assert_close(one.projections["video"][0], other.projections["video"][1])


def test_published_weights_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: pytest.fail("fetches weights"))
    recipe = small(encoders__video="shift_mobilenet", encoders__audio="mel_mobilenet", encoders__init="imagenet")
    assert isinstance(Pretraining(recipe, published=False), Pretraining)


def test_only_what_is_learned_is_counted() -> None:
    layer = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert count_parameters([layer, nn.Linear(2, 1, bias=False)]) == 12 + 4 + 8 + 2
    layer[0].requires_grad_(False)
    assert count_parameters([layer]) == 8


def test_what_is_frozen_keeps_weights_and_statistics_and_the_rest_learns() -> None:
    network = model(freeze=["video.layers.0", "audio"], shared__reach="encoder")
    before = copied(network)
    frames, waveform = views()
    network.train()
    optimizer = torch.optim.SGD([one for one in network.parameters() if one.requires_grad], lr=0.1)
    network(frames, waveform, {"video": ALL, "audio": ALL}).total.backward()
    optimizer.step()
    after = copied(network)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not {one for one in changed if one.startswith(("pair.audio.backbone.", "pair.video.backbone.layers.0."))}
    assert {one for one in changed if one.startswith("pair.video.backbone.")}
    assert {one for one in changed if one.startswith("pair.audio.projection.")}


def test_frozen_copies_that_follow_are_frozen_too() -> None:
    network = model(freeze=["video"], objective__name="byol")
    assert network.targets is not None
    assert not network.train().targets.module["video"].training
    assert network.targets.module["audio"].training


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"freeze: the encoders have no part 'video.stil'; did you mean"):
        model(freeze=["video.stil"])
