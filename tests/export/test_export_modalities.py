"""A modality that cannot be in float16 within the bounds stays in float32, and the bundle says so."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch
from exporting import SPECS, made_model, made_windows
from torch import nn

from avfeat.export.bundle import export_bundle
from avfeat.export.errors import ExportError
from avfeat.export.model import Model
from avfeat.training.networks import ModalityEncoder
from avfeat.verify import DISTANCE_LIMITS, verify

SPEC = SPECS["stretch"]


def beyond_half(encoder: ModalityEncoder) -> None:
    """The last convolution gives a million times as much, and its norm takes it back: more than float16 holds."""
    convolution = [one for one in encoder.backbone.layers.modules() if isinstance(one, nn.Conv2d)][-1]
    norm = [one for one in encoder.backbone.layers.modules() if isinstance(one, nn.BatchNorm2d)][-1]
    assert norm.running_mean is not None and norm.running_var is not None
    with torch.no_grad():
        convolution.weight.mul_(1e6)
        norm.running_mean.mul_(1e6)
        norm.running_var.mul_(1e12)


def types_of(path: Path) -> set[int]:
    return {one.data_type for one in onnx.load(path).graph.initializer}


@pytest.fixture
def model() -> Model:
    return made_model(SPEC, made_windows(SPEC))


def test_that_modality_stays_in_float32(model: Model, tmp_path: Path) -> None:
    stays, halved = "audio", "video"
    beyond_half(getattr(model.pair, stays))
    exported = export_bundle(tmp_path / "bundle", model, made_windows(SPEC), ("onnx",), "fp16")
    path = exported.bundle.path
    half = onnx.TensorProto.FLOAT16
    assert half in types_of(path / f"{halved}.onnx") and half not in types_of(path / f"{stays}.onnx")
    manifest = json.loads((path / "bundle.json").read_text("utf-8"))
    assert manifest["precision"] == "fp16"
    assert manifest[stays]["precision"] == "fp32" and "precision" not in manifest[halved]
    bounds = {row.modality: row.limit for row in exported.rows if row.inputs == "media"}
    assert bounds == {stays: DISTANCE_LIMITS["fp32"], halved: DISTANCE_LIMITS["fp16"]}
    said = manifest["provenance"]["layers"]
    assert said[stays].startswith("none of ") and said[stays].endswith("fp32, as none is within the bounds")
    assert said[halved].endswith("stages in fp16") and not said[halved].startswith("none")
    assert all(check.ok for check in verify(exported.bundle, "cpu", "onnx"))


def test_where_both_cannot_there_is_no_bundle(model: Model, tmp_path: Path) -> None:
    beyond_half(model.pair.video)
    beyond_half(model.pair.audio)
    with pytest.raises(ExportError, match=r"No stage of either network can be in fp16 .*; export fp32\."):
        export_bundle(tmp_path / "bundle", model, made_windows(SPEC), ("onnx",), "fp16")
    assert list(tmp_path.iterdir()) == []
