from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import avfeat
from avfeat import ArgumentError, BackendError, Bundle, BundleError
from avfeat.backends import Session, open_session
from avfeat.backends.onnx import import_onnxruntime, installed_packages
from avfeat.bundle import Modality, default_bundle, write_bundle

MODALITIES: tuple[Modality, ...] = ("video", "audio")
NAMES = ("video.onnx", "audio.onnx", "golden.npz", "MODEL_CARD.md")
needs_no_cuda = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime knows CUDA"
)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.open(default_bundle())


@pytest.fixture(scope="module")
def video(bundle: Bundle) -> Session:
    return open_session(bundle, "video", "onnx", "cpu", 2)


@pytest.fixture(scope="module")
def audio(bundle: Bundle) -> Session:
    return open_session(bundle, "audio", "onnx", "cpu", 2)


def frames(bundle: Bundle, batch: int, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(batch * height + width)
    return rng.integers(0, 256, (batch, bundle.video.frames, height, width, 3), dtype=np.uint8)


def waveform(batch: int, samples: int) -> np.ndarray:
    return np.random.default_rng(samples).uniform(-0.5, 0.5, (batch, samples)).astype(np.float32)


def altered(folder: Path, contents: dict[str, bytes], **sizes: int) -> Bundle:
    """The default bundle with other files or dimensions, and checksums that fit."""
    manifest = json.loads((default_bundle() / "bundle.json").read_text("utf-8"))
    manifest = {key: value for key, value in manifest.items() if key not in ("format", "version", "sha256")}
    for output, size in sizes.items():
        manifest["video"]["outputs"][output]["dim"] = manifest["audio"]["outputs"][output]["dim"] = size
    files = {name: (default_bundle() / name).read_bytes() for name in NAMES}
    return write_bundle(folder / "altered", manifest, {**files, **contents})


def check_rows(bundle: Bundle, modality: Modality, out: Any, batch: int) -> None:
    graph = bundle.graph(modality)
    assert out.features.shape == (batch, graph.features.shape[1]) and out.features.dtype == np.float32
    assert out.shared.shape == (batch, graph.shared.shape[1]) and out.shared.dtype == np.float32
    assert np.isfinite(out.features).all()
    np.testing.assert_allclose(np.linalg.norm(out.shared, axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_video_batch_sizes(bundle: Bundle, video: Session, batch: int) -> None:
    check_rows(bundle, "video", video.run(frames(bundle, batch, 48, 64)), batch)


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_audio_batch_sizes(bundle: Bundle, audio: Session, batch: int) -> None:
    check_rows(bundle, "audio", audio.run(waveform(batch, bundle.audio.samples)), batch)


@pytest.mark.parametrize("size", [(16, 16), (16, 300), (101, 67), (112, 112), (240, 320), (720, 1280)])
def test_frame_sizes(bundle: Bundle, video: Session, size: tuple[int, int]) -> None:
    check_rows(bundle, "video", video.run(frames(bundle, 1, *size)), 1)


@pytest.mark.parametrize("seconds", [0.1, 0.12345, 0.5, 1.0, 2.0, 2.7, 10.0])
def test_waveform_lengths(bundle: Bundle, audio: Session, seconds: float) -> None:
    check_rows(bundle, "audio", audio.run(waveform(2, round(seconds * bundle.audio.rate))), 2)


def test_silence_is_finite(bundle: Bundle, audio: Session) -> None:
    check_rows(bundle, "audio", audio.run(np.zeros((1, bundle.audio.samples), np.float32)), 1)


def test_video_row_depends_on_its_own_frames_only(bundle: Bundle, video: Session) -> None:
    batch = frames(bundle, 3, 64, 48)
    together = video.run(batch)
    for row in range(3):
        alone = video.run(batch[row : row + 1])
        np.testing.assert_allclose(together.features[row], alone.features[0], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(together.shared[row], alone.shared[0], atol=1e-4)
    assert np.abs(together.features[0] - together.features[1]).max() > 1e-2


def test_audio_row_depends_on_its_own_samples_only(bundle: Bundle, audio: Session) -> None:
    batch = waveform(3, bundle.audio.samples)
    together = audio.run(batch)
    for row in range(3):
        alone = audio.run(batch[row : row + 1])
        np.testing.assert_allclose(together.features[row], alone.features[0], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(together.shared[row], alone.shared[0], atol=1e-4)
    assert np.abs(together.features[0] - together.features[1]).max() > 1e-2


def test_session_is_safe_to_share_between_threads(bundle: Bundle, video: Session) -> None:
    batches = [frames(bundle, 1, 32, 32 + 2 * index) for index in range(6)]
    expected = [video.run(batch).features for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = [out.features for out in pool.map(video.run, batches)]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("modality", MODALITIES)
def test_cpu_session_runs_on_the_cpu(bundle: Bundle, modality: Modality) -> None:
    assert open_session(bundle, modality, "onnx", "cpu", 1).device == "cpu"


@needs_no_cuda
@pytest.mark.parametrize("modality", MODALITIES)
def test_auto_without_cuda_is_the_cpu(bundle: Bundle, modality: Modality) -> None:
    assert open_session(bundle, modality, "onnx", "auto", 1).device == "cpu"


@needs_no_cuda
@pytest.mark.parametrize("modality", MODALITIES)
def test_cuda_that_is_not_there(bundle: Bundle, modality: Modality) -> None:
    with pytest.raises(BackendError, match=r"CUDA was asked for.*avfeat\[gpu\].*--device cpu"):
        open_session(bundle, modality, "onnx", "cuda", 1)


@pytest.mark.parametrize("device", ["gpu", "CPU", "", "cuda:0"])
def test_unknown_device(bundle: Bundle, device: str) -> None:
    with pytest.raises(ArgumentError, match="auto, cpu, cuda"):
        open_session(bundle, "video", "onnx", device, 1)


@pytest.mark.parametrize("backend", ["tensorflow", "ONNX", ""])
def test_unknown_backend(bundle: Bundle, backend: str) -> None:
    with pytest.raises(ArgumentError, match="backend must be one of onnx"):
        open_session(bundle, "video", backend, "cpu", 1)


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> None:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    monkeypatch.syspath_prepend(str(folder))


def test_both_distributions_are_one_clear_sentence(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in {"onnxruntime", "onnxruntime-gpu"} - set(installed_packages()):
        install(monkeypatch, tmp_path, name)
    with pytest.raises(BackendError) as raised:
        open_session(bundle, "video", "onnx", "cpu", 1)
    sentence = str(raised.value)
    assert sentence.startswith("Both onnxruntime and onnxruntime-gpu are installed")
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in sentence and "\n" not in sentence


def test_without_onnxruntime_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match=r"pip install 'avfeat\[cpu\]'"):
        import_onnxruntime()
    with pytest.raises(BackendError, match=r"avfeat\[gpu\]"):
        avfeat.load(device="cpu")


def test_swapped_graphs_are_refused(tmp_path: Path) -> None:
    video, audio = ((default_bundle() / name).read_bytes() for name in ("video.onnx", "audio.onnx"))
    swapped = altered(tmp_path, {"video.onnx": audio, "audio.onnx": video})
    with pytest.raises(BundleError, match=r"video\.onnx: has no 'frames'"):
        open_session(swapped, "video", "onnx", "cpu", 1)
    with pytest.raises(BundleError, match=r"audio\.onnx: has no 'waveform'"):
        open_session(swapped, "audio", "onnx", "cpu", 1)


@pytest.mark.parametrize("output", ["features", "shared"])
def test_dimension_that_the_graph_does_not_have_is_refused(tmp_path: Path, output: str) -> None:
    wrong = altered(tmp_path, {}, **{output: 100})
    for modality in MODALITIES:
        with pytest.raises(BundleError, match=rf"{modality}\.onnx: '{output}' is .* not float32 \['batch', 100\]"):
            open_session(wrong, modality, "onnx", "cpu", 1)


@pytest.mark.parametrize("content", [b"", b"not a graph", bytes(1000)], ids=["empty", "text", "zeros"])
def test_file_that_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    broken = altered(tmp_path, {"video.onnx": content})
    with pytest.raises(BundleError, match=r"video\.onnx.*cannot load it") as raised:
        open_session(broken, "video", "onnx", "cpu", 1)
    assert "\n" not in str(raised.value)
    assert open_session(broken, "audio", "onnx", "cpu", 1).device == "cpu"


def test_truncated_graph_is_refused(tmp_path: Path) -> None:
    content = (default_bundle() / "audio.onnx").read_bytes()
    broken = altered(tmp_path, {"audio.onnx": content[: len(content) // 2]})
    with pytest.raises(BundleError, match=r"audio\.onnx"):
        open_session(broken, "audio", "onnx", "cpu", 1)


def test_the_runtime_is_told_to_send_nothing_home() -> None:
    """It reads the variable once, when it is first imported; users may have set it otherwise."""
    script = """
import os, sys
from importlib.abc import MetaPathFinder
from avfeat.backends.onnx import import_onnxruntime

class Look(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))

sys.meta_path.insert(0, Look())
import_onnxruntime()
print(os.environ.get("ORT_DISABLE_TELEMETRY"))
"""
    for mine, expected in ((None, ["1", "None"]), ("0", ["0", "0"])):
        environment = {name: one for name, one in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
        environment |= {} if mine is None else {"ORT_DISABLE_TELEMETRY": mine}
        ran = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert ran.stdout.split() == expected
