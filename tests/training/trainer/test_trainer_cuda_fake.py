"""A step of the trainer and a probe on a GPU that is not there, see ``fake_cuda``: where it would be waited for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fake_cuda import Seen, fake_cuda, moved
from small_runs import small, trainer
from torch import Tensor

from avfeat.training.augment.compose import read_composition
from avfeat.training.data import Cache
from avfeat.training.networks import PairSpec
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.networks.registry import log_mel_of
from avfeat.training.trainer import probe as probes
from avfeat.training.trainer.optimizer import build_optimizer
from avfeat.training.trainer.process import Process
from avfeat.training.trainer.trainer import Trainer


class Arrived:
    """An event of a GPU that is not there: counts how often it is waited for."""

    waited = 0

    def record(self) -> None:
        pass

    def synchronize(self) -> None:
        Arrived.waited += 1


def on_cuda(built: Trainer, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Move it; instead of backward, gradients are there that have no values. Gives the losses that had one."""
    losses: list[Tensor] = []
    moved(built.model)
    built.process = Process(0, 1, torch.device("cuda"))
    built.optimizer = build_optimizer(built.model, built.recipe.optimizer, built.recipe.batch_size)
    built._trained = [one for one in built.model.parameters() if one.requires_grad]

    def backward(loss: Tensor) -> None:
        losses.append(loss)
        for one in built._trained:
            one.grad = torch.empty_like(one)

    monkeypatch.setattr(torch.autograd, "backward", backward)
    monkeypatch.setattr(torch.cuda, "Event", Arrived)
    monkeypatch.setattr(Arrived, "waited", 0)
    return losses


# Without and with a momentum encoder; all objectives are in test_cuda_fake.
@pytest.mark.parametrize("name", ["simclr", "byol"])
def test_a_step_waits_for_nothing_of_its_own(cache: Cache, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    augmentations = read_composition("reference")["augmentations"]
    changes = {"objective__name": name, "augment__augmentations": augmentations, "shared__reach": "encoder"}
    built = trainer(cache, small(steps=2, **changes))
    with built.batches(0) as batches:
        given = list(batches)
    given[1]["has_audio"][:2] = False
    finite = torch.zeros(2)
    with fake_cuda():
        losses = on_cuda(built, monkeypatch)
        assert built.bf16
        with Seen() as first:
            built.step(0, iter(given[:1]))
        assert built._finite._pending is not None
        step, copied, arrived = built._finite._pending
        assert copied.device.type == "cpu"
        built._finite._pending = step, finite, arrived
        with Seen() as seen:
            outcome, views = built.step(1, iter(given[1:]))
    assert {loss.device.type for loss in losses} == {"cuda"} and all(loss.requires_grad for loss in losses)
    assert outcome.total.dtype == outcome.objective.dtype == torch.float32
    assert views.frames is not None and views.frames.device.type == "cuda"
    assert seen.products == {torch.bfloat16, torch.float32}
    # What is copied once: the noise of the augmentations, and their matrices of colours.
    assert set(first.waits) <= {"_to_copy"} and len(first.waits) <= 4
    assert (seen.waits, seen.elsewhere) == ([], [])
    # For the loss of the step before, which has long been there.
    assert Arrived.waited == 1


def test_a_probe_looks_from_cuda_once_a_modality(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small()
    built = trainer(cache, recipe)
    log_mel = log_mel_of(recipe.encoders)
    found: list[Tensor] = []

    def made(spec: PairSpec) -> LogMel:
        return log_mel

    def accuracy(_: Any, features: Tensor) -> float:
        found.append(features)
        return 0.5

    # Its values are checked when it is made, and features are compared on the CPU: neither can be fake.
    monkeypatch.setattr(probes, "log_mel_of", made)
    monkeypatch.setattr(probes.KnnProbe, "_accuracy", accuracy)
    probe = probes.KnnProbe(cache, recipe.encoders, recipe.probe, 0)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, _: moved(module))
    with fake_cuda(), Seen() as seen:
        moved(built.model.pair)
        probe.measure(built.model.pair, torch.device("cuda"))
    assert [one.device.type for one in found] == ["cuda"] * 3
    # The pictures and the sound of its one batch.
    assert seen.waits == ["_to_copy"] * 2 and seen.elsewhere == []
