"""Faults that are planted, and that the gate must refuse."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avfeat.backends import Backend
from avfeat.bundle import Precision
from avfeat.export import bundle as exporting
from avfeat.export.bundle import export_bundle
from avfeat.export.errors import ExportError, ParityError
from avfeat.export.formats.example import Example, audio_example, video_example
from avfeat.export.media import ClipWindows
from avfeat.export.model import Model
from avfeat.export.precision import graphs
from avfeat.export.raw import RawVideo
from avfeat.training.networks import PairSpec
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.networks.registry import log_mel_of

NIGHTLY = pytest.mark.nightly
Plant = pytest.MonkeyPatch


def refused(path: Path, model: Model, windows: ClipWindows, form: Backend) -> set[tuple[str, str]]:
    """The files and outputs that the gate calls wrong; nothing is left."""
    with pytest.raises(ParityError, match="parity check failed") as caught:
        export_bundle(path / "bundle", model, windows, (form,))
    assert list(path.iterdir()) == []
    notes = [row.note for row in caught.value.rows if row.note]
    assert not [note for note in notes if re.fullmatch(r"\[[\d, ]+\]: \w*", note)], "what the runtime says is lost"
    return {(row.modality, row.output) for row in caught.value.rows if not row.ok}


def deviation_of_the_log(mel: LogMel) -> None:
    mel.STD = 4.59


def floor_under_the_log(mel: LogMel) -> None:
    mel.floor = 2e-5


def filters_off_by_a_bin(mel: LogMel) -> None:
    mel.mel = mel.mel.roll(1, 1)


def plant_in_mel(monkeypatch: Plant, plant: Callable[[LogMel], None]) -> None:
    def wrong(spec: PairSpec) -> LogMel:
        mel = log_mel_of(spec)
        plant(mel)
        return mel

    monkeypatch.setattr(graphs, "log_mel_of", wrong)


@pytest.mark.parametrize("plant", [deviation_of_the_log, floor_under_the_log, filters_off_by_a_bin])
def test_wrong_mel_constant(
    tmp_path: Path, monkeypatch: Plant, model: Model, windows: ClipWindows, plant: Callable[[LogMel], None]
) -> None:
    plant_in_mel(monkeypatch, plant)
    wrong = refused(tmp_path, model, windows, "torchscript")
    assert ("audio", "features") in wrong and {modality for modality, _ in wrong} == {"audio"}


@pytest.mark.parametrize("form", ["onnx", "torchscript", pytest.param("pt2", marks=NIGHTLY)])
def test_swapped_colours(
    tmp_path: Path, monkeypatch: Plant, model: Model, windows: ClipWindows, form: Backend
) -> None:
    class Swapped(RawVideo):
        def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
            return super().forward(frames.flip(-1))

    monkeypatch.setattr(graphs, "RawVideo", Swapped)
    assert refused(tmp_path, model, windows, form) == {("video", "features"), ("video", "shared")}


@pytest.mark.parametrize("precision", [pytest.param("fp16", marks=NIGHTLY), "int8"])
def test_faults_are_wider_than_the_bounds_of_lower_precisions(
    tmp_path: Path, monkeypatch: Plant, model: Model, windows: ClipWindows, precision: Precision
) -> None:
    plant_in_mel(monkeypatch, filters_off_by_a_bin)
    # Either the search finds no layer that holds the bounds, or the gate says no.
    with pytest.raises(ExportError, match=r"waveform|audio"):
        export_bundle(tmp_path / "bundle", model, windows, ("onnx",), precision)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_no_numbers(tmp_path: Path, model: Model, windows: ClipWindows) -> None:
    broken = copy.deepcopy(model.pair)
    with torch.no_grad():
        next(broken.video.projection.parameters())[0, 0] = float("nan")
    with pytest.raises(ExportError, match=r"\(video_shared\) are no numbers"):
        export_bundle(tmp_path / "bundle", Model(broken, model.spec, model.weights_origin), windows)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_turn_into_no_numbers_on_the_way(
    tmp_path: Path, monkeypatch: Plant, model: Model, windows: ClipWindows
) -> None:
    def broken(pair: torch.nn.Module, *rest: object) -> object:
        pair = copy.deepcopy(pair)
        with torch.no_grad():
            next(pair.audio.parameters()).fill_(float("nan"))
        return graphs.raw_networks(pair, *rest)

    monkeypatch.setattr(exporting, "raw_networks", broken)
    assert refused(tmp_path, model, windows, "onnx") == {("audio", "features"), ("audio", "shared")}


@pytest.mark.parametrize(
    ("form", "dimension"),
    [
        pytest.param("onnx", 0, marks=NIGHTLY),
        ("onnx", 2),
        ("torchscript", 0),
        ("torchscript", 2),
        ("pt2", 0),
        pytest.param("pt2", 2, marks=NIGHTLY),
    ],
)
def test_dimension_fixed_to_the_example(
    tmp_path: Path, monkeypatch: Plant, model: Model, windows: ClipWindows, form: Backend, dimension: int
) -> None:
    if form == "torchscript":

        class Fixed(RawVideo):
            def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
                shape = (2, *frames.shape[1:]) if dimension == 0 else (*frames.shape[:2], 48, *frames.shape[3:])
                return super().forward(frames.reshape(shape))

        monkeypatch.setattr(graphs, "RawVideo", Fixed)

    def fixed(count: int) -> Example:
        example = video_example(count)
        return Example(example.name, example.value, {k: v for k, v in example.dynamic.items() if k != dimension})

    monkeypatch.setattr(exporting, "video_example", fixed)
    assert refused(tmp_path, model, windows, form) == {("video", "features"), ("video", "shared")}


def test_length_fixed_to_the_example(
    tmp_path: Path, monkeypatch: Plant, model: Model, windows: ClipWindows
) -> None:
    def fixed(rate: int) -> Example:
        example = audio_example(rate)
        return Example(example.name, example.value, {0: example.dynamic[0]})

    monkeypatch.setattr(exporting, "audio_example", fixed)
    assert refused(tmp_path, model, windows, "pt2") == {("audio", "features"), ("audio", "shared")}
