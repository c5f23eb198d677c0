from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from avfeat import Bundle, load
from avfeat.export.bundle import Origin, export_onnx_bundle
from avfeat.export.raw import RawAudio, RawVideo
from avfeat.export.untrained import export_untrained
from avfeat.training.networks import PAIRS, EncoderPair, build_pair
from avfeat.training.networks.calibrate import calibrate_batch_norm
from avfeat.training.networks.log_mel import LogMel
from avfeat.verify import verify

ORIGIN = Origin("test", "MIT", False, "noise", "none", "unknown")
Exported = tuple[Bundle, EncoderPair]


@pytest.fixture(scope="session", params=sorted(PAIRS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    torch.manual_seed(0)
    pair, spec = build_pair(request.param), PAIRS[request.param]
    clips = torch.rand(4, spec.frames, 3, 8, 8).repeat_interleave(14, 3).repeat_interleave(14, 4)
    calibrate_batch_norm(pair.video, [clips])
    calibrate_batch_norm(pair.audio, [LogMel()(torch.randn(4, 32_000) * torch.rand(4, 1))])
    path = tmp_path_factory.mktemp("bundles") / request.param
    return export_onnx_bundle(path, pair, spec, ORIGIN, "card"), pair


def relative(found: np.ndarray, expected: torch.Tensor) -> float:
    return float(np.abs(found - expected.numpy()).max() / expected.abs().max())


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 112, 112), (2, 16, 130), (3, 240, 135), (7, 33, 17)])
def test_video_equals_torch_at_any_batch_and_size(exported: Exported, batch: int, height: int, width: int) -> None:
    bundle, pair = exported
    rng = np.random.default_rng(batch)
    frames = rng.integers(0, 256, (batch, 16, height, width, 3), dtype=np.uint8)
    with torch.inference_mode():
        features, shared = RawVideo(pair.video, 112)(torch.from_numpy(frames))
    with load(bundle.path, device="cpu") as encoder:
        out = encoder._video.run(frames)
    assert relative(out.features, features) < 1e-3 and relative(out.shared, shared) < 1e-3


@pytest.mark.parametrize(("batch", "samples"), [(1, 32_000), (2, 1600), (3, 48_001), (7, 16_000)])
def test_audio_equals_torch_at_any_batch_and_length(exported: Exported, batch: int, samples: int) -> None:
    bundle, pair = exported
    wave = (0.1 * np.random.default_rng(batch).standard_normal((batch, samples))).astype(np.float32)
    with torch.inference_mode():
        features, shared = RawAudio(pair.audio, LogMel())(torch.from_numpy(wave))
    with load(bundle.path, device="cpu") as encoder:
        out = encoder._audio.run(wave)
    assert relative(out.features, features) < 1e-3 and relative(out.shared, shared) < 1e-3


def test_frames_of_the_networks_size_pass_the_resize_unchanged() -> None:
    class Echo(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    frames = torch.randint(0, 256, (1, 2, 112, 112, 3), dtype=torch.uint8)
    pictures, _ = RawVideo(Echo(), 112)(frames)  # type: ignore[arg-type]
    torch.testing.assert_close(pictures, frames.permute(0, 1, 4, 2, 3) / 255, rtol=0, atol=1e-6)


def test_files_are_single_standard_and_describe_themselves(exported: Exported) -> None:
    bundle, _ = exported
    assert {path.name for path in bundle.path.iterdir()} == {
        "bundle.json",
        "video.onnx",
        "audio.onnx",
        "golden.npz",
        "MODEL_CARD.md",
    }
    for modality, inputs in (("video", "frames"), ("audio", "waveform")):
        model = onnx.load(str(bundle.path / f"{modality}.onnx"))
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        (value,) = model.graph.input
        dims = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        assert value.name == inputs and isinstance(dims[0], str)
        props = {item.key: item.value for item in model.metadata_props}
        assert json.loads(props["avfeat"])["input"]["name"] == inputs


def test_golden_outputs_are_reproduced(exported: Exported) -> None:
    bundle, _ = exported
    checks = verify(bundle, "cpu")
    assert [(c.modality, c.output) for c in checks] == [
        ("video", "features"),
        ("video", "shared"),
        ("audio", "features"),
        ("audio", "shared"),
    ]
    assert all(check.ok and check.cosine > 0.9999 for check in checks)


def test_an_untrained_bundle_is_made_from_media_alone(tmp_path: Path, clip: Path, other_clip: Path) -> None:
    media = tmp_path / "media"
    (media / "deep").mkdir(parents=True)
    (media / "a.mp4").write_bytes(clip.read_bytes())
    (media / "deep" / "b.mkv").write_bytes(other_clip.read_bytes())
    (media / "broken.mp4").write_text("no video")
    bundle = export_untrained(media, tmp_path / "out")
    assert not bundle.trained and "untrained" in (bundle.path / "MODEL_CARD.md").read_text()
    with load(bundle.path) as encoder:
        assert len(encoder.embed(clip)) == 3
    with pytest.raises(ValueError, match="two windows"):
        export_untrained(tmp_path / "nothing", tmp_path / "out2")
    assert not (tmp_path / "out2").exists()
