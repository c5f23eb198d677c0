from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import avfeat
from avfeat import ArgumentError, BackendError, Bundle, BundleError
from avfeat.backends import Backend, open_session
from avfeat.bundle import default_bundle, write_bundle
from avfeat.export.formats.example import audio_example, video_example
from avfeat.export.formats.programs import pt2, torchscript
from avfeat.training.networks import PairSpec

FORMS: tuple[Backend, ...] = ("torchscript", "pt2")
WRITERS = {"torchscript": torchscript, "pt2": pt2}
SUFFIXES = {"torchscript": "ts", "pt2": "pt2"}
SPEC = PairSpec("none", "none", seconds=2.0, size=112)


class Means(torch.nn.Module):
    """A network that is easy to predict: ``width`` times the mean of each row."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(1.0, width + 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        means = x.float().flatten(1).mean(1, keepdim=True)
        return means * self.weight, means * self.weight[:2]


def manifest(**dims: int) -> dict[str, Any]:
    found = json.loads((default_bundle() / "bundle.json").read_text("utf-8"))
    found = {key: value for key, value in found.items() if key not in ("format", "version", "sha256")}
    for modality in ("video", "audio"):
        found[modality]["files"] = {form: f"{modality}.{SUFFIXES[form]}" for form in FORMS}
        for output, dim in {"features": 4, "shared": 2, **dims}.items():
            found[modality]["outputs"][output]["dim"] = dim
    return found


def write(path: Path, network: torch.nn.Module, claims: dict[str, Any], described: dict[str, Any]) -> Bundle:
    examples = {"video": video_example(SPEC.frames), "audio": audio_example(SPEC.sample_rate)}
    files = {
        f"{modality}.{SUFFIXES[form]}": WRITERS[form](network, example, described[modality])
        for modality, example in examples.items()
        for form in FORMS
    }
    return write_bundle(path, claims, {**files, "golden.npz": b"", "MODEL_CARD.md": b""})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write(tmp_path_factory.mktemp("programs") / "b", Means(), manifest(), manifest())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_runs_any_batch(bundle: Bundle, form: Backend, batch: int) -> None:
    rng = np.random.default_rng(batch)
    frames = rng.integers(0, 256, (batch, 16, 20 + batch, 30, 3), dtype=np.uint8)
    out = open_session(bundle, "video", form, "cpu", 1).run(frames)
    expected = frames.reshape(batch, -1).mean(1, keepdims=True) * np.arange(1, 5)
    np.testing.assert_allclose(out.features, expected, rtol=1e-5)
    np.testing.assert_allclose(out.shared, expected[:, :2], rtol=1e-5)
    assert out.features.dtype == out.shared.dtype == np.float32
    wave = rng.standard_normal((batch, 1600 + batch)).astype(np.float32)
    heard = open_session(bundle, "audio", form, "auto", 1).run(wave)
    np.testing.assert_allclose(heard.features[:, 0], wave.mean(1), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_an_encoder_runs_on_it_and_threads_are_the_callers_again(bundle: Bundle, form: Backend, clip: Path) -> None:
    before = torch.get_num_threads()
    with avfeat.load(bundle.path, device="cpu", backend=form, threads=before + 1) as encoder:
        embedding = encoder.embed(clip)
    assert embedding.video.shape == (3, 4) and embedding.audio_shared.shape == (3, 2)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("form", FORMS)
def test_a_session_may_be_shared_between_threads(bundle: Bundle, form: Backend) -> None:
    session = open_session(bundle, "audio", form, "cpu", 1)
    waves = [np.full((1, 1600 + k), k / 10, np.float32) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = [out.features[0, 0] for out in pool.map(session.run, waves)]
    np.testing.assert_allclose(found, np.arange(8) / 10, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_outputs_of_another_width_are_refused(tmp_path: Path, form: Backend) -> None:
    wrong = write(tmp_path / "b", Means(5), manifest(), manifest())
    session = open_session(wrong, "audio", form, "cpu", 1)
    with pytest.raises(BundleError, match=r"'features' came out as \(1, 5\), not \(1, 4\)"):
        session.run(np.zeros((1, 1600), np.float32))


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_describes_itself_otherwise_is_refused(tmp_path: Path, form: Backend) -> None:
    wrong = write(tmp_path / "b", Means(), manifest(), manifest(features=6))
    with pytest.raises(BundleError, match="is not the file that"):
        open_session(wrong, "video", form, "cpu", 1)
    silent = write(tmp_path / "c", Means(), manifest(), {"video": {}, "audio": {}})
    with pytest.raises(BundleError, match="does not say what it takes"):
        open_session(silent, "video", form, "cpu", 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("content", [b"", b"no program", bytes(1000)], ids=["empty", "text", "zeros"])
def test_what_is_no_program_is_refused(tmp_path: Path, form: Backend, content: bytes) -> None:
    names = [f"{modality}.{suffix}" for modality in ("video", "audio") for suffix in SUFFIXES.values()]
    files = {**dict.fromkeys(names, content), "golden.npz": b"", "MODEL_CARD.md": b""}
    broken = write_bundle(tmp_path / "b", manifest(), files)
    with pytest.raises(BundleError, match=rf"video\.{SUFFIXES[form]}: PyTorch cannot load it") as raised:
        open_session(broken, "video", form, "cpu", 1)
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
@pytest.mark.parametrize("form", FORMS)
def test_cuda_that_is_not_there(bundle: Bundle, form: Backend) -> None:
    with pytest.raises(BackendError, match=r"CUDA was asked for.*--device cpu"):
        open_session(bundle, "video", form, "cuda", 1)


@pytest.mark.parametrize("form", FORMS)
def test_without_torch_the_extra_is_named(bundle: Bundle, form: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendError, match=r"pip install 'avfeat\[train\]'"):
        open_session(bundle, "video", form, "cpu", 1)


def test_programs_run_only_when_asked_for(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="take --backend torchscript or --backend pt2"):
        avfeat.load(bundle.path)
    with pytest.raises(BundleError, match="has no pt2 file"):
        avfeat.load(backend="pt2")
    with pytest.raises(ArgumentError, match="backend must be one of"):
        open_session(bundle, "video", "script", "cpu", 1)


def test_onnx_needs_no_torch() -> None:
    code = "import sys, avfeat; avfeat.load(device='cpu').close(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
