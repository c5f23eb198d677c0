"""Which provider is chosen, by a list of providers as onnxruntime-gpu gives it; what it computes needs a GPU."""

from __future__ import annotations

from typing import Any

import onnxruntime
import pytest

from avfeat import BackendError, Bundle
from avfeat.backends import open_session
from avfeat.bundle import default_bundle

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class Asked:
    """Stands for onnxruntime-gpu: says that CUDA is there, and opens sessions on the CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, usable: bool) -> None:
        self.providers: list[list[Any]] = []
        self.loaded = 0
        real = onnxruntime.InferenceSession

        def session(path: str, options: Any, providers: list[Any]) -> Any:
            self.providers.append(providers)
            opened = real(path, options, providers=[CPU])
            if usable and len(providers) == 2:
                opened.get_providers = lambda: [CUDA, CPU]
            return opened

        def load() -> None:
            self.loaded += 1

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
        monkeypatch.setattr(onnxruntime, "preload_dlls", load, raising=False)
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_cuda_that_works_is_taken_without_tf32(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    asked = Asked(monkeypatch, usable=True)
    assert open_session(Bundle.open(default_bundle()), "audio", "onnx", device, 1).device == "cuda"
    assert asked.providers == [[(CUDA, {"use_tf32": "0"}), CPU]] and asked.loaded == 1


def test_the_cpu_that_was_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, usable=True)
    assert open_session(Bundle.open(default_bundle()), "audio", "onnx", "cpu", 1).device == "cpu"
    assert asked.providers == [[CPU]] and asked.loaded == 0


def test_cuda_that_falls_back_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, usable=False)
    bundle = Bundle.open(default_bundle())
    with pytest.raises(BackendError, match="CUDA was asked for"):
        open_session(bundle, "audio", "onnx", "cuda", 1)
    with pytest.warns(RuntimeWarning, match="finds no usable GPU"):
        assert open_session(bundle, "audio", "onnx", "auto", 1).device == "cpu"
    assert asked.providers[-1] == [CPU]
