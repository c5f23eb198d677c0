"""Networks of others become bundles that give what their libraries give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
import transformers as hf
from foreign import save_network

import avfeat
from avfeat.bundle import Bundle
from avfeat.errors import ArgumentError, AvfeatError
from avfeat.export.backbones import POOLS, FrameSize, Look, export_backbones, open_audio, open_video
from avfeat.export.backbones import bundle as writing
from avfeat.export.backbones.window import choose_window, steps_of
from avfeat.export.errors import ParityError
from avfeat.media import decode
from avfeat.training.backbones.backbone import as_outputs
from avfeat.training.backbones.mn04 import Mn04
from avfeat.training.backbones.own import pillow as own_pipeline
from avfeat.verify import verify

OWN = """
import torch
from torch import nn

class Mean(nn.Module):
    def forward(self, pictures):
        return pictures.flatten(2).mean(2) + pictures[:, :, 0, 0]

class Loudness(nn.Module):
    def forward(self, waveform):
        return torch.stack([waveform.square().mean(1), waveform.abs().amax(1)], 1)

def frames():
    return Mean(), {"size": 24, "frames": 3, "mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2), "licence": "MIT"}

def sound():
    return Loudness(), {"sample_rate": 8000, "licence": "MIT"}

def broken():
    raise RuntimeError("no weights")

def wrong():
    return Mean(), {"sized": 24}

def nothing():
    return 3

class Named(nn.Module):
    def forward(self, pictures):
        return {"features": pictures.mean((2, 3))}

class Flat(nn.Module):
    def forward(self, pictures):
        return pictures.mean()

def named():
    return Named(), {"size": 24}

def flat():
    return Flat(), {"size": 24}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.py"
    path.write_text(OWN)
    return path


def test_an_image_network_of_transformers(tmp_path: Path, media: Path) -> None:
    spec = f"transformers:{save_network('dinov2', tmp_path / 'dinov2')}"
    done = export_backbones(tmp_path / "bundle", open_video(spec), None, frames=2, seconds=0.5, media=media)
    assert all(check.ok for check in verify(done.bundle))
    graph = done.bundle.graph("video")
    assert graph.widths == (32, 0) and done.bundle.text is None
    assert done.bundle.audio is None and done.bundle.video is not None and done.bundle.video.frames == 2
    assert not done.bundle.motion
    with avfeat.load(tmp_path / "bundle") as encoder:
        found = encoder.embed(next(media.iterdir()))
    assert found.video.shape[1] == 32 and found.audio.shape[1] == 0 and found.has_video.all()
    assert not found.has_audio.any()


@pytest.mark.parametrize(
    ("kind", "size"), [("clip", "original"), pytest.param("dinov2", "network", marks=pytest.mark.nightly)]
)
def test_embed_gives_what_the_library_gives_for_the_frames_of_a_file(
    kind: str, size: FrameSize, tmp_path: Path, media: Path
) -> None:
    found = open_video(f"transformers:{save_network(kind, tmp_path / kind)}")
    done = export_backbones(tmp_path / "bundle", found, None, frames=2, seconds=0.5, size=size, media=media)
    worst = 0.0
    with avfeat.load(tmp_path / "bundle", device="cpu", threads=1) as encoder:
        for file in sorted(media.iterdir()):
            decoded = decode(file, fps=4, size=None).frames
            assert decoded is not None and decoded.shape[1:] == (60, 80, 3)
            with torch.inference_mode():
                rows = as_outputs(found.network(found.pipeline(decoded[:4])))[0]
            wanted = rows.reshape(2, 2, -1).mean(1).numpy()
            worst = max(worst, float(np.linalg.norm(encoder.embed(file).video[:2] - wanted, axis=1).max()))
    distance = done.bundle.scale("video", "features")
    assert distance is not None
    # What FFmpeg makes of them is near, and is not that.
    assert (worst < writing.RESAMPLED * distance) is (size == "original")
    assert worst < 0.2 * distance


def test_an_audio_network_of_transformers(tmp_path: Path, media: Path) -> None:
    spec = f"transformers:{save_network('ast', tmp_path / 'ast')}"
    done = export_backbones(tmp_path / "bundle", None, open_audio(spec), seconds=0.5, media=media)
    assert all(check.ok for check in verify(done.bundle))
    assert done.bundle.graph("audio").widths == (32, 0) and done.bundle.graph("audio").frames is None
    assert {row.inputs for row in done.rows} == {"media", "random", "golden"}
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "padded" in card and "dense rows" not in card


@pytest.mark.nightly
def test_a_tagger_of_sounds_from_a_file(tmp_path: Path, media: Path) -> None:
    torch.manual_seed(0)
    network = Mn04().train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        # Without it, statistics of layers are those of nothing, and all sounds are the same to them.
        for _ in range(2):
            network(0.1 * torch.randn(8, 32_000) * torch.rand(8, 1))
    torch.save(network.state_dict(), tmp_path / "mn04.pt")
    found = open_audio(f"mn04_as:{tmp_path / 'mn04.pt'}")
    done = export_backbones(tmp_path / "bundle", None, found, media=media)
    assert done.bundle.graph("audio").widths == (384, 0) and done.bundle.licence == "audio: MIT (EfficientAT)"
    assert all(check.ok for check in verify(done.bundle))
    with pytest.raises(ArgumentError, match="mn04_as: takes windows of 1 s or longer"):
        export_backbones(tmp_path / "short", None, found, seconds=0.5)


def test_a_video_network_of_torchvision_takes_what_its_weights_took() -> None:
    found = open_video("torchvision:r3d_18?weights=none")
    assert (found.frames, found.fps) == (16, 15.0)
    assert (found.look.size, found.look.aspect, found.look.crop) == (171, "stretch", (112, 112))
    frames = np.random.default_rng(0).integers(0, 256, (16, 40, 60, 3), np.uint8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = torchvision.models.video.r3d_18().eval()
    own.fc = torch.nn.Identity()
    with torch.inference_mode():
        clips = found.pipeline(frames)[None]
        features, rows = found.network(clips)
        wanted = own(clips)
        steps = own.layer4(own.layer3(own.layer2(own.layer1(own.stem(clips))))).mean((3, 4))
    torch.testing.assert_close(features, wanted)
    # Three of its layers halve time: a row lies around every eighth frame.
    torch.testing.assert_close(rows, steps.transpose(1, 2))
    assert found.rows == (0.0, 8.0) and rows.shape == (1, 2, 512)
    window = choose_window(found, None, None, None)
    steps_in_time = steps_of(window, found, None)["video"]
    assert (steps_in_time.first, steps_in_time.period) == pytest.approx((0.5 / 15, 8 / 15), rel=1e-6)


@pytest.mark.parametrize(("name", "width"), [("squeezenet1_1", 512), ("shufflenet_v2_x0_5", 1024), ("s3d", 1024)])
def test_features_of_torchvision_are_what_is_classified(name: str, width: int) -> None:
    found = open_video(f"torchvision:{name}?weights=none")
    frames = found.pipeline(np.zeros((found.frames, 60, 60, 3), np.uint8))
    with torch.inference_mode():
        assert found.network(frames if found.fps is None else frames[None]).shape[1:] == (width,)


@pytest.mark.parametrize(
    "fault",
    [
        {"kernel": "bilinear"},
        pytest.param({"half_down": True}, marks=pytest.mark.nightly),
        pytest.param({"mean": (0.5, 0.5, 0.4)}, marks=pytest.mark.nightly),
    ],
)
def test_another_transform_than_the_librarys_is_not_written(fault: dict, tmp_path: Path, media: Path) -> None:
    found = open_video("timm:test_vit?weights=none")
    look = replace(found.look, resize=163, **fault)
    right = Look(163, (160, 160), "bicubic", found.look.mean, found.look.std)
    pipeline = own_pipeline(right)
    with pytest.raises(ParityError):
        wrong = replace(found, look=look, pipeline=pipeline)
        export_backbones(tmp_path / "bundle", wrong, None, frames=1, media=media)


def test_pooling_gives_the_mean_and_the_standard_deviation(own: Path, tmp_path: Path, media: Path) -> None:
    found = open_video(f"{own}:frames")
    mean = export_backbones(tmp_path / "mean", found, None, media=media, seconds=0.6).bundle
    both = export_backbones(tmp_path / "both", found, None, media=media, seconds=0.6, pool="mean_std").bundle
    assert (mean.graph("video").widths[0], both.graph("video").widths[0]) == (3, 6)
    frames = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    scaled = (frames / 255 - 0.5) / 0.2
    rows = scaled.mean((1, 2)) + scaled[:, 0, 0]
    with avfeat.load(both.path) as encoder:
        got = encoder.embed_arrays(frames, 5, None, None).video[0]
    np.testing.assert_allclose(got, np.concatenate([rows.mean(0), rows.std(0)]), rtol=1e-4)


def test_one_command_makes_a_bundle_of_two_networks(own: Path, tmp_path: Path, media: Path, avfeat_command) -> None:
    out = tmp_path / "bundle"
    ran = avfeat_command(
        "export", "--video", f"{own}:frames", "--audio", f"{own}:sound", "--seconds", "0.6", "-o", str(out),
        "--calibration", str(media), "--name", "own",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    bundle = Bundle.open(out)
    assert (bundle.name, bundle.licence) == ("own", "video: MIT; audio: MIT")
    assert bundle.audio is not None and bundle.audio.rate == 8000
    described = json.loads((out / "bundle.json").read_text())
    assert described["provenance"]["networks"] == {"video": f"{own}:frames", "audio": f"{own}:sound"}
    ran = avfeat_command("embed", str(next(media.iterdir())), "--model", str(out), "-o", str(tmp_path / "rows.npz"))
    assert ran.status == 0, ran.err
    assert np.load(tmp_path / "rows.npz")["audio"].shape[1] == 2


def test_what_differs_from_the_library_is_not_written(
    own: Path, tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Backwards(writing.RawFrames):
        def forward(self, frames):
            mean, rows = super().forward(frames)
            return mean, rows.flip(1)

    monkeypatch.setattr(writing, "RawFrames", Backwards)
    with pytest.raises(ParityError, match=r"video onnx: parity check failed; nothing was written\."):
        export_backbones(
            tmp_path / "bundle", open_video(f"{own}:frames"), None, media=media, seconds=0.6, pool="none"
        )
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", r"own\.py:broken: raises RuntimeError: no weights\."),
        ("wrong", r"'sized' is not known; did you mean 'size'\?"),
        ("nothing", "must return a torch.nn.Module and a dictionary"),
        ("missing", r"has no function 'missing'\."),
        ("named", r"forward must give a tensor \(n, d\), .* and gives dict for n = 2\."),
        ("flat", r"forward must give a tensor \(n, d\), .* and gives \[\] for n = 2\."),
        ("sound", r"own\.py:sound: cannot take \(2, 3, 224, 224\)|'sample_rate' is not known"),
    ],
)
def test_a_function_that_is_none(own: Path, name: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        open_video(f"{own}:{name}")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("resnet18", "is no network that can be opened; give timm:NAME"),
        ("tim:resnet18", r"did you mean 'timm'\? Or give timm:NAME"),
        ("own.py", r"name its function, own\.py:function, or give timm:NAME"),
        ("timm:resnet81", "timm has no network 'resnet81'; did you mean"),
        ("timm:resnet18?size=3", "has no option 'size'"),
        ("timm:resnet18?weights=/nowhere.pt", "its weights cannot be fetched or read"),
        ("torchvision:resnet81", "torchvision has no network of images or video"),
        ("transformers:/nowhere/at/all", "cannot be fetched or read"),
        ("nowhere.py:made", r"nowhere\.py: no such Python file"),
    ],
)
def test_specs_that_name_no_network(spec: str, said: str) -> None:
    with pytest.raises(AvfeatError, match=said):
        open_video(spec)


def test_a_network_of_the_wrong_kind_says_what_it_is(tmp_path: Path) -> None:
    spec = f"transformers:{save_network('ast', tmp_path / 'ast')}"
    with pytest.raises(ArgumentError, match=r"is no network of images or video that is known here \(audio-sp"):
        open_video(spec)
    with pytest.raises(ArgumentError, match="timm has no audio networks"):
        open_audio("timm:resnet18")
    body = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = hf.Siglip2Config(vision_config={**body, "num_patches": 16}, text_config={**body, "vocab_size": 8})
    hf.Siglip2Model(config).save_pretrained(tmp_path / "naflex")
    hf.Siglip2ImageProcessor().save_pretrained(tmp_path / "naflex")
    with pytest.raises(ArgumentError, match=r"processor \(Siglip2ImageProcessor\) cannot be built into a graph"):
        open_video(f"transformers:{tmp_path / 'naflex'}")


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    first = open_video("timm:test_vit?weights=none").network
    torch.save(first.state_dict(), tmp_path / "w.pt")
    again = open_video(f"timm:test_vit?weights={tmp_path / 'w.pt'}")
    assert again.origin.trained
    for name, value in again.network.state_dict().items():
        assert torch.equal(value, first.state_dict()[name])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give a RUN to export, or networks of others"),
        (("run", "--video", "timm:resnet18"), "Give a RUN to export, or networks of others"),
        (("run", "--frames", "3"), "--frames goes with --video or --audio"),
        (("--video", "timm:resnet18", "--precision", "int8"), "--video: networks of others are written as onnx in"),
        (("run", "--frame-size", "network"), "--frame-size goes with --video or --audio"),
        (("--video", "timm:resnet18", "--frame-size", "64"), "--frame-size must be one of original, network, not"),
        (("--video", "timm:resnet18", "--pool", "max"), "--pool must be one of mean, mean_std, none, not 'max'"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: tuple[str, ...], said: str, tmp_path: Path, avfeat_command
) -> None:
    ran = avfeat_command("export", *arguments, "-o", str(tmp_path / "bundle"))
    assert ran.status == 2 and said in ran.err


def test_frames_and_windows_that_a_network_does_not_take(own: Path, tmp_path: Path) -> None:
    video = open_video("torchvision:r3d_18?weights=none")
    with pytest.raises(ArgumentError, match="takes 16 frames at a time, not 4"):
        export_backbones(tmp_path / "b", video, None, frames=4)
    with pytest.raises(ArgumentError, match=r"0\.1 s or longer"):
        export_backbones(tmp_path / "b", open_video(f"{own}:frames"), None, seconds=0.01)
    with pytest.raises(ArgumentError, match="needs a network"):
        export_backbones(tmp_path / "b", None, None)
    assert POOLS == ("mean", "mean_std", "none")
