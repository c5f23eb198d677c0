"""What holds for every objective, on random inputs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sides import ALL, DIMS, NAMES, everyone, features, noise, pair, small, take, tensors
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.objectives import OBJECTIVES, Losses, Objective, Pairs, build_objective
from avfeat.training.objectives.embedded import HeadOutput
from avfeat.training.objectives.gather import GatheredRows

each = pytest.mark.parametrize("name", NAMES)
BOTH: tuple[Modality, Modality] = ("video", "audio")


def there(*flags: int) -> Tensor:
    return torch.tensor(flags, dtype=torch.bool)


def gradients(*sides: HeadOutput) -> list[Tensor]:
    return [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in tensors(*sides)]


@each
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_absent_samples_are_as_if_not_in_the_batch(name: str, data: st.DataObject) -> None:
    here = torch.tensor(data.draw(st.lists(st.booleans(), min_size=3, max_size=7).filter(lambda f: sum(f) > 1)))
    one, other = pair(len(here), seed=data.draw(st.integers(0, 99)))
    with torch.no_grad():
        for leaf in tensors(one, other):
            leaf[~here] = data.draw(st.sampled_from([0.0, 1e30, torch.nan, torch.inf]))
    objective = small(name)
    loss = objective.pair_loss(one, other, GatheredRows.from_mask(here))
    loss.backward()
    index = here.nonzero().squeeze(1)
    alone, along = take(one, index), take(other, index)
    expected = objective.pair_loss(alone, along, everyone(len(index)))
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for whole, part in zip(gradients(one, other), gradients(alone, along), strict=True):
        assert not whole[~here].any()
        torch.testing.assert_close(whole[here], part)


@each
@settings(max_examples=20, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 99))
def test_neither_order_nor_side_matters(name: str, order: list[int], seed: int) -> None:
    one, other = pair(5, seed=seed)
    objective = small(name)
    loss = objective.pair_loss(one, other, everyone(5))
    torch.testing.assert_close(objective.pair_loss(other, one, everyone(5)), loss)
    index = torch.tensor(order)
    torch.testing.assert_close(objective.pair_loss(take(one, index), take(other, index), everyone(5)), loss)


@each
def test_which_sample_goes_with_which_matters(name: str) -> None:
    one, other = pair(5)
    objective = small(name)
    index = torch.tensor([1, 2, 3, 4, 0])
    loss, wrong = (objective.pair_loss(one, side, everyone(5)) for side in (other, take(other, index)))
    assert (loss - wrong).abs() > 1e-3


@each
def test_losses_are_in_full_precision(name: str) -> None:
    objective = small(name)
    low = [HeadOutput(*(leaf.detach().bfloat16() for leaf in tensors(side))) for side in pair(5)]
    full = [HeadOutput(*(leaf.float() for leaf in tensors(side))) for side in low]
    expected = objective.pair_loss(full[0], full[1], everyone(5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = objective.pair_loss(low[0], low[1], everyone(5))
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@each
@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_samples_give_finite_numbers(name: str, count: int) -> None:
    here = torch.arange(4) < count
    one, other = pair(4)
    loss = small(name).pair_loss(one, other, GatheredRows.from_mask(here))
    loss.backward()
    assert torch.isfinite(loss) and (count or loss == 0)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(one, other))
    if not count:
        assert not any(gradient.any() for gradient in gradients(one, other))
    elif name in ("byol", "simsiam"):
        # These compare a sample with itself alone: one is enough.
        assert loss != 0


def run(objective: Objective[object], batch: int, **present: Tensor) -> tuple[Losses, list[Tensor]]:  # type: ignore[type-var]
    """Loss, and gradients of features and parameters, from fixed random features."""
    leaves = {key: [view.requires_grad_() for view in views] for key, views in features(batch).items()}
    masks = {key: present.get(key, torch.ones(batch, dtype=torch.bool)) for key in BOTH}
    losses = objective(leaves, features(batch, seed=5), masks)
    objective.zero_grad()
    losses.total.backward()
    inputs = [view for views in leaves.values() for view in views]
    weights = [one for one in objective.parameters() if one.requires_grad]
    return losses, [one.grad for one in inputs + weights]  # type: ignore[misc]


@each
def test_the_total_is_the_weighted_mean_of_the_kinds(name: str) -> None:
    losses, _ = run(small(name), 6)
    parts = {"video_video": 1.0, "audio_audio": 0.5, "video_audio": 2.0, "video_audio_across": 0.25}
    expected = sum(weight * losses.terms[kind] for kind, weight in parts.items()) / sum(parts.values())  # type: ignore[index]
    torch.testing.assert_close(losses.total.detach(), expected)
    assert not any(loss.requires_grad for loss in losses.terms.values())
    assert {int(count) for count in losses.counts.values()} == {6}


@each
def test_kinds_compare_the_sides_that_they_say(name: str) -> None:
    objective = small(name).eval()
    batch, target = features(6), features(6, seed=5)
    masks = dict.fromkeys(BOTH, torch.ones(6, dtype=torch.bool))
    losses = objective(batch, target, masks)
    sides = {key: list(objective._embed(key, batch, target, masks[key]).values()) for key in BOTH}
    video, audio = sides["video"], sides["audio"]

    def loss(*both: tuple[HeadOutput, HeadOutput]) -> Tensor:
        return torch.stack([objective.pair_loss(one, other, everyone(6)) for one, other in both]).mean()

    torch.testing.assert_close(losses.terms["video_video"], loss((video[0], video[1])))
    torch.testing.assert_close(losses.terms["audio_audio"], loss((audio[0], audio[1])))
    same, across = ((video[0], audio[0]), (video[1], audio[1])), ((video[0], audio[1]), (video[1], audio[0]))
    torch.testing.assert_close(losses.terms["video_audio"], loss(*same))
    torch.testing.assert_close(losses.terms["video_audio_across"], loss(*across))


@each
def test_absent_streams_change_nothing_not_even_through_batch_norm(name: str) -> None:
    mask = there(1, 1, 0, 1, 0, 1)
    objective = small(name).train()
    state = {key: one.clone() for key, one in objective.state_dict().items()}
    losses, found = run(objective, 6, audio=mask)
    after = objective.state_dict()
    other = small(name).train()
    other.load_state_dict(state)
    leaves = features(6)
    targets = features(6, seed=5)
    for views in (leaves["audio"], targets["audio"]):
        for view in views:
            view[~mask] = torch.nan
    again = other(leaves, targets, {"video": there(1, 1, 1, 1, 1, 1), "audio": mask})
    torch.testing.assert_close(again.total, losses.total)
    assert {kind: int(count) for kind, count in losses.counts.items()} == {
        "video_video": 6, "audio_audio": 4, "video_audio": 4, "video_audio_across": 4,
    }  # fmt: skip
    for audio in found[2:4]:
        assert not audio[~mask].any() and audio[mask].any(1).all()
    for key, one in other.state_dict().items():
        torch.testing.assert_close(one, after[key], msg=key)


@each
def test_a_batch_without_sound_still_trains_the_pictures(name: str) -> None:
    losses, found = run(small(name), 5, audio=there(0, 0, 0, 0, 0))
    assert losses.terms["audio_audio"] == losses.terms["video_audio"] == 0
    assert losses.counts["video_audio"] == 0
    assert all(torch.isfinite(one).all() for one in found)
    assert found[0].any() and not found[2].any()


@each
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_for_batch_norm_still_depend_on_no_absent_sample(name: str, count: int) -> None:
    mask, outcomes = torch.arange(5) < count, []
    for content in (torch.nan, 7.0):
        objective = small(name).train()
        leaves, target = features(5), features(5, seed=5)
        for view in (*leaves["audio"], *target["audio"]):
            view[~mask] = content
            view.requires_grad_()
        losses = objective(leaves, target, {"video": there(1, 1, 1, 1, 1), "audio": mask})
        losses.total.backward()
        assert all(torch.isfinite(one).all() for one in objective.state_dict().values())
        assert all(torch.isfinite(one.grad).all() for one in objective.parameters() if one.grad is not None)
        assert not any(view.grad[~mask].any() for view in leaves["audio"])  # type: ignore[index]
        outcomes.append(losses.total)
    assert torch.isfinite(outcomes[0]) and torch.equal(*outcomes)


@each
def test_the_momentum_encoder_gets_no_gradient(name: str) -> None:
    batch, target = features(4), features(4, seed=5)
    views = [view.requires_grad_() for modality in BOTH for view in target[modality]]
    masks = dict.fromkeys(BOTH, torch.ones(4, dtype=torch.bool))
    objective = small(name)
    objective(batch, target, masks).total.backward()
    assert all(view.grad is None for view in views)
    if objective.targets is not None:
        assert all(one.grad is None for one in objective.targets.parameters())


@each
def test_every_head_learns(name: str) -> None:
    _, found = run(small(name), 6)
    assert all(one is not None and one.any() for one in found)


@each
def test_training_brings_the_sides_together(name: str) -> None:
    objective = small(name, Pairs(), **({"temperature": 0.5} if name in ("simclr", "moco_v3") else {}))
    latent = noise(32, 4).float()
    batch = {
        key: [latent @ noise(4, width, seed=width).float() + 0.1 * noise(32, width, seed=view).float()
              for view in range(2)]
        for key, width in DIMS.items()
    }  # fmt: skip
    masks = dict.fromkeys(BOTH, torch.ones(32, dtype=torch.bool))
    optimizer = torch.optim.Adam([one for one in objective.parameters() if one.requires_grad], lr=0.01)
    totals = []
    for _ in range(40):
        losses = objective(batch, batch, masks)  # type: ignore[arg-type]
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        objective.update_target(0.9)
        totals.append(losses.total.item())
    assert totals[-1] < totals[0] - 0.05 * abs(totals[0])


@each
def test_kinds_that_do_not_count_build_no_heads(name: str) -> None:
    objective = small(name, Pairs(audio_audio=0, video_audio=0))
    assert set(objective.projectors) == {"video"}
    alone: dict[Modality, list[Tensor]] = {"video": features(4)["video"]}
    found = objective(alone, alone, {"video": there(1, 1, 1, 1)})
    assert set(found.terms) == {"video_video"}
    assert {(side.modality, side.view) for side in found.projections} == {("video", 0), ("video", 1)}


@each
def test_targets_follow_slowly_where_there_are_some(name: str) -> None:
    objective = small(name)
    assert objective.momentum == (name in ("moco_v3", "byol"))
    assert (objective.targets is not None) == objective.momentum
    if objective.targets is None:
        return
    before = [one.clone() for one in objective.targets.parameters()]
    with torch.no_grad():
        for one in objective.projectors.parameters():
            one.add_(1)
    objective.update_target(0.75)
    for old, new in zip(before, objective.targets.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)
    with pytest.raises(ArgumentError, match="needs the features of the momentum encoder"):
        objective(features(4), None, {})


@each
def test_another_number_of_views_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="There are 3 views of video, not 2"):
        small(name)(features(4, views=3), features(4), {})


@each
def test_the_defaults_are_a_whole_objective(name: str) -> None:
    objective = build_objective(name, {"video": 16, "audio": 16})
    linear = [layer for layer in objective.projectors["video"].modules() if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == {
        "simclr": [2048, 256],
        "moco_v3": [4096, 256],
        "byol": [4096, 256],
    }.get(name, [2048] * 3)
    assert [term.kind for term in objective.terms] == ["video_video", "audio_audio", "video_audio", "video_audio"]


def test_names_and_settings_come_from_recipes() -> None:
    assert set(OBJECTIVES) == {"simclr", "moco_v3", "simsiam", "byol", "barlow_twins", "vicreg"}
    assert build_objective("simclr", DIMS, {"temperature": 1, "out": 8}, ALL).settings.temperature == 1.0
    with pytest.raises(ArgumentError, match="no objective 'simcrl'; did you mean 'simclr'"):
        build_objective("simcrl", DIMS)
    with pytest.raises(ArgumentError, match="simclr: there is no setting 'temprature'; did you mean 'temperature'"):
        build_objective("simclr", DIMS, {"temprature": 1})
