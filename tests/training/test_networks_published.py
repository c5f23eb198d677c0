"""Weights come through torchvision's own loading, from files that the tests make; nothing leaves the machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import (
    MobileNet_V3_Large_Weights,
    MobileNet_V3_Small_Weights,
    Weights,
    WeightsEnum,
    mobilenet_v3_large,
    mobilenet_v3_small,
    resnet18,
)
from torchvision.models.video import MC3_18_Weights, mc3_18, r2plus1d_18, r3d_18, s3d
from torchvision.transforms._presets import ImageClassification

from avfeat.errors import ArgumentError, AvfeatError
from avfeat.training.networks import PairSpec, build_pair
from avfeat.training.networks.calibrate import calibrate_batch_norm
from avfeat.training.networks.mel_mobile import MelMobileNet
from avfeat.training.networks.mel_resnet import MelResNet
from avfeat.training.networks.parts import Pixels
from avfeat.training.networks.published import PublishedWeights, WeightsError, fetch
from avfeat.training.networks.s3d import S3D
from avfeat.training.networks.temporal_shift import ShiftMobileNet
from avfeat.training.networks.video_resnet import VideoResNet

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


MOBILE = PairSpec("shift_mobilenet", "mel_mobilenet")


@pytest.fixture(autouse=True)
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of torch's downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def trained(make: Callable[..., nn.Module]) -> nn.Module:
    """A torchvision network whose statistics and weights are those of no fresh one."""
    torch.manual_seed(1)
    network = make(weights=None)
    for value in network.state_dict().values():
        if value.dim() == 1:
            value.uniform_(0.5, 1.5)
    return network.eval()


def published(network: nn.Module) -> PublishedWeights:
    return PublishedWeights(Path("made.pth"), network.state_dict(), MEAN, STD)


def scaled(x: Tensor) -> Tensor:
    return (x - torch.tensor(MEAN).reshape(3, 1, 1)) / torch.tensor(STD).reshape(3, 1, 1)


def weights_at(url: str) -> Any:
    preset = partial(ImageClassification, crop_size=8)
    return WeightsEnum("Made", {"V1": Weights(url=url, transforms=preset, meta={})}).V1


# The networks with the weights


@pytest.mark.parametrize("make", [r3d_18, mc3_18, r2plus1d_18])
def test_video_resnets_give_the_published_features(make: Callable[..., nn.Module]) -> None:
    theirs = trained(make)
    # So that features depend on what is seen.
    calibrate_batch_norm(theirs, [torch.randn(6, 3, 4, 24, 24)])
    mine = VideoResNet(make).eval()
    mine.adopt(published(theirs))
    x = torch.rand(1, 4, 3, 24, 24)
    theirs.fc = nn.Identity()
    with torch.inference_mode():
        torch.testing.assert_close(mine(x), mine.norm(theirs(scaled(x).transpose(1, 2))))


def test_s3d_gives_the_published_features() -> None:
    theirs, mine = trained(s3d), S3D().eval()
    calibrate_batch_norm(theirs.features, [torch.randn(6, 3, 6, 32, 32)])
    mine.adopt(published(theirs))
    x = torch.rand(2, 6, 3, 32, 32)
    with torch.inference_mode():
        expected = theirs.features(scaled(x).transpose(1, 2)).mean((2, 3, 4))
        torch.testing.assert_close(mine(x), mine.norm(expected))


def test_the_shifted_mobilenet_has_the_published_layers_but_the_last() -> None:
    theirs, mine = trained(mobilenet_v3_large), ShiftMobileNet(4)
    last = mine.layers[-1][0].weight.clone()
    mine.adopt(published(theirs))
    state = theirs.features[:-1].state_dict()
    copied = mine.layers[:-1].state_dict()
    assert len(state) > 200 and [tuple(v.shape) for v in state.values()] == [
        tuple(v.shape) for v in copied.values()
    ]
    assert all(torch.equal(a, b) for a, b in zip(state.values(), copied.values(), strict=True))
    assert torch.equal(mine.layers[-1][0].weight, last)
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(mine.pixels(x), scaled(x))


def test_a_spectrogram_is_to_the_audio_networks_what_a_grey_picture_was() -> None:
    x = torch.randn(2, 1, 64, 50)
    small, residual = trained(mobilenet_v3_small), trained(resnet18)
    mobile, resnet = MelMobileNet().eval(), MelResNet().eval()
    mobile.adopt(published(small))
    resnet.adopt(published(residual))
    residual.fc = nn.Identity()
    grey = x.expand(-1, 3, -1, -1)
    with torch.inference_mode():
        torch.testing.assert_close(mobile.layers[:-1](x), small.features[:-1](grey), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(resnet(x), resnet.norm(residual(grey)), rtol=1e-4, atol=1e-4)


def test_random_networks_scale_pixels_to_about_unit_scale() -> None:
    x = torch.rand(2, 5, 3, 4, 4)
    torch.testing.assert_close(Pixels()(x), (x - 0.5) / 0.25)


def test_the_scale_of_pixels_travels_with_the_weights() -> None:
    trained_pair, again = build_pair(MOBILE), build_pair(MOBILE)
    trained_pair.video.backbone.adopt(published(trained(mobilenet_v3_large)))
    again.load_state_dict(trained_pair.state_dict())
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(again.video.backbone.pixels(x), scaled(x))


@pytest.mark.parametrize(
    ("network", "other", "message"),
    [
        (S3D, mobilenet_v3_small, "made.pth: holds the weights of another network"),
        (MelResNet, s3d, r"another network \(no conv1.weight\); delete it"),
        (partial(VideoResNet, r3d_18), mc3_18, r"another network \(size mismatch"),
    ],
)
def test_weights_of_another_network_are_refused(network: Any, other: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        network().adopt(published(other(weights=None)))


# What a pair begins with


def save(network: nn.Module, weights: Any, folder: Path, legacy: bool = False) -> None:
    """Put a network's weights where torch looks for the published ones; old files are no zip archives."""
    name = weights.url.rpartition("/")[2]
    torch.save(network.state_dict(), folder / name, _use_new_zipfile_serialization=not legacy)


def test_imagenet_is_for_both(checkpoints: Path) -> None:
    large, small = trained(mobilenet_v3_large), trained(mobilenet_v3_small)
    save(large, MobileNet_V3_Large_Weights.IMAGENET1K_V2, checkpoints)
    save(small, MobileNet_V3_Small_Weights.IMAGENET1K_V1, checkpoints, legacy=True)
    pair = build_pair(replace(MOBILE, init="imagenet"))
    assert torch.equal(pair.video.backbone.layers[0][0].weight, large.features[0][0].weight)
    assert torch.equal(pair.audio.backbone.layers[0][1].running_var, small.features[0][1].running_var)
    grey = torch.full((1, 3, 1, 1), 0.456)
    torch.testing.assert_close(
        pair.video.backbone.pixels(grey).flatten(),
        (torch.tensor([0.456] * 3) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225]),
    )


def test_kinetics_is_for_the_video_alone(checkpoints: Path) -> None:
    theirs = trained(mc3_18)
    save(theirs, MC3_18_Weights.KINETICS400_V1, checkpoints)
    spec = PairSpec("mc3_18", "mel_mobilenet", init="kinetics400")
    torch.manual_seed(5)
    pair = build_pair(spec)
    torch.manual_seed(5)
    fresh = build_pair(replace(spec, init="none"))
    assert torch.equal(pair.video.backbone.trunk.stem[0].weight, theirs.stem[0].weight)
    assert not torch.equal(fresh.video.backbone.trunk.stem[0].weight, theirs.stem[0].weight)
    torch.testing.assert_close(
        pair.video.backbone.pixels.mean.flatten(), torch.tensor([0.43216, 0.394666, 0.37645])
    )
    assert torch.equal(pair.audio.backbone.layers[0][0].weight, fresh.audio.backbone.layers[0][0].weight)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            PairSpec("r2plus1d_18", "mel_resnet18", init="imagenet"),
            "video network 'r2plus1d_18' has no imagenet weights; its init can be none or kinetics400, "
            "and those with imagenet weights are shift_mobilenet",
        ),
        (
            PairSpec("shift_mobilenet", "tiny_mel", init="imagenet"),
            "audio network 'tiny_mel' has no imagenet weights; its init can be none, "
            "and those with imagenet weights are mel_mobilenet, mel_resnet18",
        ),
        (
            PairSpec("tiny_shift", "tiny_mel", init="kinetics400"),
            "video network 'tiny_shift' has no kinetics400 weights; its init can be none, "
            "and those with kinetics400 weights are r2plus1d_18, r3d_18, mc3_18, s3d",
        ),
    ],
)
def test_weights_that_are_not_there_are_named(spec: PairSpec, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build_pair(spec)


@pytest.mark.parametrize(
    "spec",
    [
        PairSpec("shift_mobilenet", "mel_resnet18", init="imagenet"),
        PairSpec("s3d", "mel_resnet18", init="kinetics400"),
    ],
)
def test_the_networks_are_the_same_for_every_init(spec: PairSpec) -> None:
    # Nothing is fetched: the folder is empty and stays so.
    state = build_pair(spec, published=False).state_dict()
    fresh = build_pair(replace(spec, init="none")).state_dict()
    assert [(name, value.shape) for name, value in state.items()] == [
        (name, value.shape) for name, value in fresh.items()
    ]


# Files: torchvision's own loading, from a server that is this machine's disk


def file_of(network: nn.Module, folder: Path, digest: str | None = None) -> Path:
    path = folder / "network.pth"
    torch.save(network.state_dict(), path)
    digest = digest or hashlib.sha256(path.read_bytes()).hexdigest()
    return path.rename(folder / f"network-{digest[:8]}.pth")


def test_a_download_is_kept_and_its_hash_checked(
    tmp_path: Path, checkpoints: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network = nn.Linear(3, 2)
    source = file_of(network, tmp_path)
    found = fetch(weights_at(source.as_uri()))
    assert found.file == checkpoints / source.name and found.file.read_bytes() == source.read_bytes()
    assert torch.equal(found.state["weight"], network.weight)
    assert (found.mean, found.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    out, err = capfd.readouterr()
    assert out == "" and "Downloading" in err
    source.unlink()
    assert torch.equal(fetch(weights_at(source.as_uri())).state["bias"], network.bias)


def test_a_download_with_another_hash_is_refused(tmp_path: Path, checkpoints: Path) -> None:
    source = file_of(nn.Linear(3, 2), tmp_path, digest="0123456789abcdef")
    with pytest.raises(WeightsError, match=r"cannot be fetched \(invalid hash value"):
        fetch(weights_at(source.as_uri()))
    assert not list(checkpoints.iterdir())


def test_without_a_network_the_message_says_what_to_do(checkpoints: Path) -> None:
    # Port 9 of this machine: nothing listens there.
    url = "http://127.0.0.1:9/models/network-01234567.pth"
    with pytest.raises(WeightsError) as caught:
        fetch(weights_at(url))
    assert isinstance(caught.value, AvfeatError) and not isinstance(caught.value, ArgumentError)
    assert str(caught.value).startswith(f"{url}: cannot be fetched (")
    assert str(caught.value).endswith(f"; put the file into {checkpoints}, or take init: none.")


def test_a_broken_file_is_named(checkpoints: Path) -> None:
    weights = weights_at("http://127.0.0.1:9/network-01234567.pth")
    path = checkpoints / "network-01234567.pth"
    torch.save({"weight": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    for content in (b"", b"no weights", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=f"{path.name}: cannot be read; delete it"):
            fetch(weights)
    for value in ([1, 2], {"weight": "text"}):
        torch.save(value, path)
        with pytest.raises(WeightsError, match=f"{path.name}: holds no weights; delete it"):
            fetch(weights)


class Program:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


def test_a_file_runs_no_code(checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Program()}, checkpoints / "network-01234567.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        fetch(weights_at("http://127.0.0.1:9/network-01234567.pth"))
    assert not Path("ran").exists()
