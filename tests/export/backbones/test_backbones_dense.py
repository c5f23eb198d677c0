"""Dense rows of networks of others are what their own libraries give, at the times at which they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from foreign import picture, save_network
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoFeatureExtractor, AutoModel

import avfeat
from avfeat.bundle import Bundle
from avfeat.cli.info import describe
from avfeat.errors import ArgumentError, BundleError
from avfeat.export.backbones import export_backbones, open_audio, open_video
from avfeat.export.formats import onnx as onnx_format
from avfeat.verify import verify

SECONDS = 0.5
SPEC = "timm:test_vit?weights=none"


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Bundle:
    """An image network with rows for 2 frames a window."""
    path = tmp_path_factory.mktemp("dense") / "bundle"
    return export_backbones(
        path, open_video(SPEC), None, frames=2, seconds=SECONDS, pool="none", media=media
    ).bundle


def of_library(folder: Path, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """All rows that transformers gives for a waveform."""
    model = AutoModel.from_pretrained(folder).eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    network = model.get_encoder() if model.config.model_type == "whisper" else model
    with torch.inference_mode():
        taken = extractor(waveform, sampling_rate=16_000, return_tensors="pt")
        rows: NDArray[np.float32] = network(next(iter(taken.values()))).last_hidden_state[0].numpy()
    return rows


# Instants of the middle of what a row hears: of the first, and between two.
@pytest.mark.parametrize(
    ("kind", "first", "period", "rows"),
    [("whisper", 0.0, 0.02, 25), pytest.param("wav2vec2", 0.0125, 0.02, 24, marks=pytest.mark.nightly)],
)
def test_rows_of_sound(kind: str, first: float, period: float, rows: int, tmp_path: Path, media: Path) -> None:
    folder = save_network(kind, tmp_path / kind)
    heard = open_audio(f"transformers:{folder}")
    done = export_backbones(tmp_path / "bundle", None, heard, seconds=SECONDS, pool="none", media=media)
    assert {(row.output, row.inputs) for row in done.rows} == {
        (output, inputs) for output in ("features", "frames") for inputs in ("media", "random", "golden")
    }
    assert all(check.ok for check in verify(done.bundle)) and done.bundle.graph("audio").widths == (32, 0)
    card = (done.bundle.path / "MODEL_CARD.md").read_text("utf-8")
    assert f"| dense rows of a window | {rows} of 32 |" in card and ("padded" in card) == (kind == "whisper")
    rng = np.random.default_rng(0)
    waveform = (0.1 * rng.standard_normal(16_000)).astype(np.float32)
    with avfeat.load(done.bundle.path) as encoder:
        found = encoder.embed_arrays(None, None, waveform, 16_000)
    assert found.audio_frames is not None and found.audio_frames.shape == (2, rows, 32)
    assert found.audio_frame_times is not None and found.video_frames is None
    for window, got in enumerate(found.audio_frames):
        own = of_library(folder, waveform[8000 * window : 8000 * (window + 1)])
        np.testing.assert_allclose(got, own[:rows], atol=2e-4 * np.abs(own).max())
    np.testing.assert_allclose(found.audio_frame_times[1], 0.5 + first + period * np.arange(rows), atol=1e-6)


def test_rows_of_patches_of_sound(tmp_path: Path) -> None:
    folder = save_network("ast", tmp_path / "ast")
    heard = open_audio(f"transformers:{folder}")
    assert heard.steps is not None
    assert (heard.steps.first, heard.steps.period) == (pytest.approx(0.0875), pytest.approx(0.1))
    assert heard.steps.within(SECONDS) == 5
    waveform = (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)
    # Behind two tokens, 12 rows of patches, each of them from the first to the last.
    own = of_library(folder, waveform)[2:].reshape(12, -1, 32).mean(0)
    with torch.inference_mode():
        for found in (heard.network(torch.from_numpy(waveform)[None]), heard.pipeline(waveform)):
            np.testing.assert_allclose(found[1][0], own, atol=1e-4 * np.abs(own).max())


def test_rows_of_frames(dense: Bundle) -> None:
    # As large as the reader gives them, so that nothing but the network's own transform is done to them.
    frames = np.stack([picture(168, 168, seed) for seed in range(4)])
    with avfeat.load(dense.path) as encoder:
        found = encoder.embed_arrays(frames, 4, None, None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("test_vit").eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
    with torch.inference_mode():
        shown = torch.stack([transform(Image.fromarray(frame)) for frame in frames])
        own = network.forward_head(network.forward_features(shown), pre_logits=True).numpy()
    assert found.video_frames is not None and found.video_frames.shape == (2, 2, 64)
    np.testing.assert_allclose(found.video_frames.reshape(4, -1), own, atol=5e-3 * np.abs(own).max())
    np.testing.assert_allclose(found.video, found.video_frames.mean(1), atol=1e-5)
    np.testing.assert_array_equal(found.video_frame_times, [[0.125, 0.375], [0.625, 0.875]])
    assert list(dense.graph("video").outputs) == ["features", "frames"] and not dense.trained
    video = dense.video
    assert video is not None
    assert (video.frames, video.fps, video.size, video.aspect) == (2, 4.0, None, "stretch")


OWN = """
import torch
from torch import nn

class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 12, 12, bias=False)
        nn.init.trunc_normal_(self.layer.weight, mean=0.1, generator=torch.Generator().manual_seed(0))

    def forward(self, pictures):
        return self.layer(pictures).flatten(1)

class Loudness(nn.Module):
    def forward(self, waveform):
        return waveform.square().mean(1, keepdim=True)

def frames():
    return Patches(), {"size": 24}

def sound():
    return Loudness(), {}

class Steps(nn.Module):
    def forward(self, waveform):
        rows = nn.functional.avg_pool1d(waveform.abs().unsqueeze(1), 400).transpose(1, 2)
        rows = torch.cat([rows, rows.square()], 2)
        return rows.mean(1), rows

def steps():
    return Steps(), {"sample_rate": 8000, "first": 0.025, "period": 0.05}

def no_period():
    return Steps(), {"sample_rate": 8000}

def first_alone():
    return Steps(), {"sample_rate": 8000, "first": 0.025}

def no_rows():
    return Loudness(), {"sample_rate": 8000, "period": 0.05}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.py"
    path.write_text(OWN)
    return path


@pytest.fixture(scope="module")
def apart(own: Path, media: Path) -> Bundle:
    """A network of frames with rows, its values in a file of their own, and one of sound without rows."""
    seen, heard = open_video(f"{own}:frames"), open_audio(f"{own}:sound")
    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning, match=r"own\.py:sound: one row a window"):
        patch.setattr(onnx_format, "LARGEST", 1000)
        out = own.with_name("bundle")
        return export_backbones(out, seen, heard, frames=2, seconds=SECONDS, pool="none", media=media).bundle


def test_a_network_without_rows(own: Path, apart: Bundle, tmp_path: Path) -> None:
    assert apart.graph("audio").frames is None and apart.graph("video").frames is not None
    with pytest.raises(
        ArgumentError, match=r"own\.py:sound: one row a window is all there is, so none can be kept"
    ):
        export_backbones(tmp_path / "bundle", None, open_audio(f"{own}:sound"), pool="none")
    assert not (tmp_path / "bundle").exists()


def test_a_function_of_ones_own_may_give_rows(own: Path, media: Path, tmp_path: Path) -> None:
    heard = open_audio(f"{own}:steps")
    done = export_backbones(tmp_path / "bundle", None, heard, seconds=SECONDS, pool="none", media=media)
    rows = done.bundle.graph("audio").frames
    assert rows is not None and (rows.rows, rows.dim, rows.first, rows.period) == (10, 2, 0.025, 0.05)
    waveform = np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)
    with avfeat.load(done.bundle.path, device="cpu", threads=1) as encoder:
        found = encoder.embed_arrays(None, None, waveform, 8000)
    loud = np.abs(waveform).reshape(2, 10, 400).mean(2)
    assert found.audio_frames is not None and found.audio_frame_times is not None
    np.testing.assert_allclose(found.audio_frames, np.stack([loud, loud**2], 2), rtol=1e-4)
    np.testing.assert_allclose(found.audio_frame_times[1], 0.525 + 0.05 * np.arange(10))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "no_period",
            r"must give a tensor \(n, d\), .* each \(n, d\), and gives \[2, 2\] and \[2, 40, 2\]",
        ),
        ("first_alone", r"rows need a period in seconds, and first, from 0 on; not None and 0\.025"),
        ("no_rows", r"and rows \(n, T, d\) behind them, as there is a period, and gives \[2, \d+\] for n = 2"),
    ],
)
def test_rows_and_their_times_go_together(own: Path, name: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        open_audio(f"{own}:{name}")


def test_large_values_lie_in_a_file_beside_the_graph(own: Path, apart: Bundle, tmp_path: Path) -> None:
    sums = json.loads((apart.path / "bundle.json").read_text("utf-8"))["sha256"]
    assert sorted(sums) == ["MODEL_CARD.md", "audio.onnx", "golden.npz", "video.onnx", "video.onnx.data"]
    assert (apart.path / "video.onnx.data").stat().st_size >= 8 * 3 * 12 * 12 * 4
    assert all(check.ok for check in verify(Bundle.open(apart.path)))
    assert set(describe(apart)["video"]["bytes"]) == {"video.onnx", "video.onnx.data"}
    frames = np.stack([picture(24, 24, seed) for seed in range(2)])
    with avfeat.load(apart.path, device="cpu") as encoder:
        found = encoder.embed_arrays(frames, 4, None, None).video_frames
    seen = open_video(f"{own}:frames")
    with torch.inference_mode():
        np.testing.assert_allclose(found[0], seen.network(seen.pipeline(frames)), rtol=1e-4, atol=1e-5)
    broken = shutil.copytree(apart.path, tmp_path / "broken")
    with (broken / "video.onnx.data").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=r"video\.onnx\.data: differs from its checksum"):
        avfeat.load(broken, device="cpu")
