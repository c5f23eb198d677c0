"""One network in one format and precision, as the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from avfeat.backends import Backend
from avfeat.backends.onnx import import_onnxruntime
from avfeat.bundle import Modality, Precision
from avfeat.export.errors import ExportError
from avfeat.export.formats.example import Example
from avfeat.export.formats.onnx import OUTPUTS, finish_model, write_onnx
from avfeat.export.formats.programs import pt2, torchscript
from avfeat.export.parity.gate import Expected, distance_limit
from avfeat.export.parity.probes import INPUTS
from avfeat.export.precision.int8 import fewest, quantise, relative_error
from avfeat.export.precision.tuning import Tuning
from avfeat.export.raw import HalfEncoder, RawAudio, RawVideo, stages
from avfeat.processors import available_processors
from avfeat.training.networks import EncoderPair, ModalityEncoder, PairSpec
from avfeat.training.networks.registry import log_mel_of
from avfeat.verify import DISTANCE_LIMITS

Raw = TypeVar("Raw", RawVideo, RawAudio)

SENSITIVITY_PROBES = 3
HALF_MARGIN = 0.3
"""Share of the bounds that float16 may use in PyTorch; graphs with folded statistics round once more."""

MARGIN = 0.6
"""Share of the bounds that the search for layers may use: sessions on other devices round otherwise."""


def raw_networks(
    pair: EncoderPair, spec: PairSpec, precision: Precision, tuning: Tuning | None = None
) -> tuple[RawVideo, RawAudio]:
    """Both encoders with their front ends; int8 begins as float32.

    Args:
        pair: the encoders.
        spec: what a window is.
        precision: of the arithmetic.
        tuning: clips by which fp16 leaves as few of the first stages in float32 as it can; None for none at all.

    Raises:
        ExportError: fp16, and no stage of either network can be in it.
    """

    def video(encoder: nn.Module) -> RawVideo:
        return RawVideo(encoder, spec.size, spec.aspect).eval()

    def audio(encoder: nn.Module) -> RawAudio:
        return RawAudio(encoder, log_mel_of(spec)).eval()

    if precision != "fp16":
        return video(pair.video), audio(pair.audio)
    networks = _halve(pair.video, video, "video", tuning), _halve(pair.audio, audio, "audio", tuning)
    if tuning is not None and len(tuning.whole) == len(networks):
        raise ExportError("No stage of either network can be in fp16 within the bounds; export fp32.")
    return networks


def _halve(
    encoder: ModalityEncoder, build: Callable[[nn.Module], Raw], modality: Modality, tuning: Tuning | None
) -> Raw:
    """The front end with as much of the encoder in float16 as holds a share of the bounds, which may be none."""
    if tuning is None:
        return build(HalfEncoder(encoder))
    count, bound = len(stages(encoder.backbone)), HALF_MARGIN * DISTANCE_LIMITS["fp16"]

    def holds(kept: int) -> bool:
        return _half_holds(build(HalfEncoder(encoder, kept)), modality, tuning.expected, bound)

    kept = 0 if holds(0) else fewest(count, holds)
    if kept == count:
        tuning.said[modality] = f"none of {count} stages in fp16: fp32, as none is within the bounds"
        tuning.whole.add(modality)
        return build(encoder)
    tuning.said[modality] = f"{count - kept} of {count} stages in fp16"
    return build(HalfEncoder(encoder, kept))


def _half_holds(network: nn.Module, modality: Modality, expected: Expected, bound: float) -> bool:
    for probe, out in zip(expected.probes, expected.outputs, strict=True):
        if probe.modality != modality:
            continue
        wanted = [getattr(out, name) for name in OUTPUTS]
        scales = [expected.scales(modality, name, rows) for name, rows in zip(OUTPUTS, wanted, strict=True)]
        with torch.inference_mode():
            found = [rows.numpy() for rows in network(torch.from_numpy(probe.batch))]
        if relative_error(found, wanted, scales) > bound:
            return False
    return True


def write_graph(
    network: nn.Module,
    example: Example,
    form: Backend,
    precision: Precision,
    metadata: Mapping[str, Any],
    tuning: Tuning | None,
) -> bytes:
    """The bytes of a file.

    Args:
        network: with raw inputs, in its precision but for int8.
        example: what to trace it with.
        form: which format.
        precision: int8 for ONNX only.
        metadata: the file's description of itself.
        tuning: for int8.

    Raises:
        ExportError: the network cannot be written so.
    """
    if form == "torchscript":
        return torchscript(network, example, metadata)
    if form == "pt2":
        return pt2(network, example, metadata)
    model = write_onnx(network, example)
    if precision != "int8":
        return finish_model(model, metadata)
    if tuning is None:
        raise ExportError("int8 needs clips to calibrate on.")
    modality: Modality = "video" if example.name == INPUTS["video"] else "audio"
    done = quantise(
        model,
        example.name,
        tuning.inputs(modality),
        _Errors(modality, tuning.expected),
        MARGIN,
        _Errors(modality, tuning.expected, SENSITIVITY_PROBES),
    )
    tuning.said[modality] = f"{done.layers - done.kept} of {done.layers} layers in int8"
    return finish_model(done.model, metadata)


class _Errors:
    """How wrong a graph is as a share of the bounds: on the first probes, or on all until one goes too far."""

    def __init__(self, modality: Modality, expected: Expected, most: int | None = None) -> None:
        self._name, self._ranks = INPUTS[modality], most is not None
        pairs = [
            (probe, out)
            for probe, out in zip(expected.probes, expected.outputs, strict=True)
            if probe.modality == modality
        ]
        self._trials = [
            (
                probe.batch,
                [getattr(out, name) for name in OUTPUTS],
                [
                    expected.scales(modality, name, getattr(out, name)) * distance_limit("int8", probe.kind)
                    for name in OUTPUTS
                ],
            )
            for probe, out in pairs[:most]
        ]

    def __call__(self, file: bytes) -> float:
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = available_processors()
        options.log_severity_level = 3
        session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        worst = 0.0
        for batch, wanted, scales in self._trials:
            worst = max(worst, relative_error(session.run(list(OUTPUTS), {self._name: batch}), wanted, scales))
            if worst > MARGIN and not self._ranks:
                break
        return worst
