"""The text tower of a bundle: chosen, written, and held against the library's own tokenizer and network."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim

from avfeat.bundle import Modality, Port, TextGraph
from avfeat.errors import ArgumentError
from avfeat.export.backbones.sentences import Spoken
from avfeat.export.errors import ParityError
from avfeat.export.formats.example import Example
from avfeat.export.formats.onnx import finish_files, write_onnx
from avfeat.export.parity.gate import ParityRow, devices
from avfeat.text import TextTower, Tokenizer
from avfeat.training.backbones.backbone import AudioBackbone, TextBackbone, VideoBackbone, as_outputs

FILE, TOKENIZER = "text.onnx", "tokenizer.json"
GOLDEN_SENTENCES = ("a dog barks", "a photo of a cat on a mat", "Regen auf der Straße 犬")


@dataclass(frozen=True, eq=False)
class WrittenText:
    """What a bundle gets of a text tower.

    Attributes:
        said: the value of ``text`` in ``bundle.json``.
        golden: golden sentences, their tokens, and the rows of the network itself.
        files: contents by name.
        rows: of the parity report.
        distance: median distance between different sentences.
    """

    said: dict[str, Any]
    golden: dict[str, NDArray[Any]]
    files: dict[str, bytes]
    rows: tuple[ParityRow, ...]
    distance: float


def choose_text(video: VideoBackbone | None, audio: AudioBackbone | None, wanted: str | None) -> Modality | None:
    """Whose text tower a bundle gets: the one that is asked for; else that of video, or of audio if video has none.

    Args:
        video: the network of frames, or None.
        audio: the network of sound, or None.
        wanted: ``video``, ``audio`` or ``none``; None for what there is.

    Raises:
        ArgumentError: a network without text.
    """
    pairs: tuple[tuple[Modality, VideoBackbone | AudioBackbone | None], ...] = (("video", video), ("audio", audio))
    able: list[Modality] = [name for name, one in pairs if one is not None and one.text is not None]
    if wanted is None:
        return able[0] if able else None
    if wanted == "none":
        return None
    found = [name for name in able if name == wanted]
    if not found:
        what = "must be video, audio or none" if wanted not in ("video", "audio") else f"--{wanted} brings no text"
        raise ArgumentError(f"--text {wanted}: {what}; CLIP, SigLIP (--video), CLAP (--audio) and PE-AV do.")
    return found[0]


def one_space(
    video: VideoBackbone | None, audio: AudioBackbone | None, text: Modality | None
) -> tuple[VideoBackbone | None, AudioBackbone | None]:
    """The networks with one shared space between them.

    The one that ``left_out`` names keeps its features alone.
    """
    out = left_out(video, audio, text)
    if video is not None and out == "video":
        video = replace(video, network=_FeaturesAlone(video.network))
    if audio is not None and out == "audio":
        pipeline = audio.pipeline
        alone = _FeaturesAlone(audio.network)
        audio = replace(audio, network=alone, pipeline=lambda heard: _without_shared(pipeline(heard)))
    return video, audio


def left_out(video: VideoBackbone | None, audio: AudioBackbone | None, text: Modality | None) -> Modality | None:
    """The modality whose shared space a bundle cannot hold, or None.

    Two networks that were each trained with a text of its own have two spaces, whose rows do not compare. A bundle
    has one: that of ``text``, or of video. Two towers of one network have one between them.
    """
    if video is None or audio is None or video.text is None or audio.text is None:
        return None
    if video.origin.fingerprint == audio.origin.fingerprint:
        return None
    return "video" if text == "audio" else "audio"


def _without_shared(found: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Features, and rows within a window where there are some."""
    return found[0], *found[2:]


class _FeaturesAlone(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, taken: Tensor) -> tuple[Tensor, ...]:
        return _without_shared(as_outputs(self.network(taken)))


def write_text(tower: TextBackbone, compares: Modality, metadata: Mapping[str, Any]) -> WrittenText:
    """Write the tower of ``compares`` and try it out.

    Args:
        tower: as its library has it.
        compares: the modality whose space it is in.
        metadata: what the file says of itself, beside what goes in and out.

    Raises:
        ParityError: the file computes something else.
        ExportError: the tokenizer does, or sentences are all the same to the network.
    """
    spoken = Spoken.by(tower)
    with torch.inference_mode():
        tokens, rows = tower.pipeline(GOLDEN_SENTENCES)
    graph = _graph(tower, compares, rows.shape[1])
    said = _describe(graph)
    with tempfile.TemporaryDirectory(prefix="avfeat-text-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / TOKENIZER).write_text(tower.tokenizer, "utf-8")
        spoken.check_tokens(Tokenizer(folder / TOKENIZER, graph.mask is not None))
        model = write_onnx(tower.network, _examples(tower, tokens), ["shared"])
        files = {TOKENIZER: tower.tokenizer.encode()}
        files |= finish_files(model, {**metadata, "modality": "text", **said}, FILE)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        measured = _measured(folder, graph, spoken, frozenset(files))
    golden: dict[str, NDArray[Any]] = {"text": np.array(GOLDEN_SENTENCES)}
    golden |= {name: part.numpy() for name, part in zip(tower.inputs, tokens, strict=True)}
    return WrittenText(said, {**golden, "text_shared": rows.numpy()}, files, measured, spoken.distance)


def _measured(folder: Path, graph: TextGraph, spoken: Spoken, listed: frozenset[str]) -> tuple[ParityRow, ...]:
    threads = torch.get_num_threads()
    rows = tuple(spoken.measure(TextTower(folder, graph, device, threads, listed)) for device in devices("onnx"))
    if not all(row.ok for row in rows):
        raise ParityError("text onnx: parity check failed; nothing was written.", rows)
    return rows


def _graph(tower: TextBackbone, compares: Modality, width: int) -> TextGraph:
    ids, *others = (Port(name, "int64", ("batch", "length")) for name in tower.inputs)
    shared = Port("shared", "float32", ("batch", width))
    return TextGraph({"onnx": FILE}, TOKENIZER, ids, others[0] if others else None, shared, (compares,))


def _describe(graph: TextGraph) -> dict[str, Any]:
    ports = {"ids": graph.ids} if graph.mask is None else {"ids": graph.ids, "mask": graph.mask}
    return {
        "with": list(graph.compares),
        "files": dict(graph.files),
        "tokenizer": graph.tokenizer,
        "inputs": {key: {"name": p.name, "dtype": p.dtype, "shape": list(p.shape)} for key, p in ports.items()},
        "outputs": {"shared": {"name": graph.shared.name, "dim": graph.shared.shape[1]}},
    }


def _examples(tower: TextBackbone, tokens: Sequence[Tensor]) -> list[Example]:
    dynamic = {0: Dim("batch", min=1), 1: Dim("length", min=1, max=tower.longest)}
    # Outside of inference mode, which exporters do not take tensors of.
    return [Example(name, part.clone(), dynamic) for name, part in zip(tower.inputs, tokens, strict=True)]
