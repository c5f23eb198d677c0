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
from avfeat.export.backbones.backbone import AudioBackbone, TextBackbone, VideoBackbone, as_outputs
from avfeat.export.errors import ExportError, ParityError
from avfeat.export.formats.example import Example
from avfeat.export.formats.onnx import finish_model, write_onnx
from avfeat.export.parity.gate import ParityRow, devices
from avfeat.export.parity.probes import median_distance
from avfeat.text import TextTower
from avfeat.verify import compare

FILE, TOKENIZER = "text.onnx", "tokenizer.json"
SENTENCES = (
    "a dog barks",
    "",
    "x",
    "A photo of a CAT, sitting on a mat.",
    "  two   spaces,\ta tab\nand a line",
    "Regen fällt auf die Straße: çà et là, naïve café №5",
    "犬が吠えている 🐕",
    "a man speaks while music plays and a train passes by " * 40,
)
"""What a tower is tried on: short, empty, beyond any limit, of other alphabets, with signs and spaces."""
GOLDEN_SENTENCES = ("a dog barks", "a photo of a cat on a mat", "Regen auf der Straße 犬")
_MASK = "attention_mask"


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
        raise ArgumentError(f"--text {wanted}: {what}; CLIP, SigLIP (--video) and CLAP (--audio) do.")
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
        audio = replace(audio, network=alone, pipeline=lambda heard: pipeline(heard)[:1])
    return video, audio


def left_out(video: VideoBackbone | None, audio: AudioBackbone | None, text: Modality | None) -> Modality | None:
    """The modality whose shared space a bundle cannot hold, or None.

    Two networks that were each trained with a text of its own have two spaces, whose rows do not compare. A bundle
    has one: that of ``text``, or of video.
    """
    if video is None or audio is None or video.text is None or audio.text is None:
        return None
    return "video" if text == "audio" else "audio"


class _FeaturesAlone(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, taken: Tensor) -> Tensor:
        return as_outputs(self.network(taken))[0]


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
    with torch.inference_mode():
        tokens, rows = tower.pipeline(GOLDEN_SENTENCES)
    said = _describe(tower, compares, rows.shape[1])
    model = write_onnx(tower.network, _examples(tower), ["shared"])
    files = {
        FILE: finish_model(model, {**metadata, "modality": "text", **said}),
        TOKENIZER: tower.tokenizer.encode(),
    }
    found, distance = _measure(tower, said, files)
    golden: dict[str, NDArray[Any]] = {"text": np.array(GOLDEN_SENTENCES)}
    golden |= {name: part.numpy() for name, part in zip(tower.inputs, tokens, strict=True)}
    return WrittenText(said, {**golden, "text_shared": rows.numpy()}, files, found, distance)


def _describe(tower: TextBackbone, compares: Modality, width: int) -> dict[str, Any]:
    keys = ("ids", "mask")
    return {
        "with": [compares],
        "files": {"onnx": FILE},
        "tokenizer": TOKENIZER,
        "inputs": {
            key: {"name": name, "dtype": "int64", "shape": ["batch", "length"]}
            for key, name in zip(keys, tower.inputs, strict=False)
        },
        "outputs": {"shared": {"name": "shared", "dim": width}},
    }


def _examples(tower: TextBackbone) -> list[Example]:
    dynamic = {0: Dim("batch", min=1), 1: Dim("length", min=1, max=tower.longest)}
    with torch.inference_mode():
        tokens, _ = tower.pipeline(GOLDEN_SENTENCES)
    # Outside of inference mode, which exporters do not take tensors of.
    return [Example(name, part.clone(), dynamic) for name, part in zip(tower.inputs, tokens, strict=True)]


def _measure(
    tower: TextBackbone, said: Mapping[str, Any], files: Mapping[str, bytes]
) -> tuple[tuple[ParityRow, ...], float]:
    """Run the files as a user would, on each sentence alone and on all of them together."""
    batches = [*([sentence] for sentence in SENTENCES), list(SENTENCES)]
    with torch.inference_mode():
        expected = [tower.pipeline(batch) for batch in batches]
    rows = expected[-1][1].numpy()
    distance = median_distance(rows, np.arange(len(rows), dtype=np.int64))
    if not (np.isfinite(distance) and distance > 1e-6):
        raise ExportError(
            "The network's outputs for different sentences are all the same, or no numbers; train it."
        )
    with tempfile.TemporaryDirectory(prefix="avfeat-text-", ignore_cleanup_errors=True) as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        measured = tuple(
            _row(
                TextTower(Path(folder), _graph(said), device, torch.get_num_threads()), batches, expected, distance
            )
            for device in devices("onnx")
        )
    if not all(row.ok for row in measured):
        raise ParityError("text onnx: parity check failed; nothing was written.", measured)
    return measured, distance


def _row(
    tower: TextTower,
    batches: Sequence[Sequence[str]],
    expected: Sequence[tuple[list[Tensor], Tensor]],
    scale: float,
) -> ParityRow:
    worst, error, cosine = 0.0, 0.0, 1.0
    for batch, (tokens, wanted) in zip(batches, expected, strict=True):
        found = tower.tokens(batch)
        if not all(np.array_equal(one, other.numpy()) for one, other in zip(found, tokens, strict=True)):
            raise ExportError(f"{TOKENIZER} makes other tokens of {batch[0][:40]!r} than the library's tokenizer.")
        compared = compare(tower.run(found), wanted.numpy())
        worst, error = max(worst, float(compared.norms.max()) / scale), max(error, compared.error)
        cosine = float(np.minimum(cosine, compared.cosine))
    count = sum(len(batch) for batch in batches)
    return ParityRow(
        "onnx", tower.device, "text", "shared", "sentences", count, worst, error, cosine, precision="fp32"
    )


def _graph(said: Mapping[str, Any]) -> TextGraph:
    ports = {key: Port(one["name"], one["dtype"], tuple(one["shape"])) for key, one in said["inputs"].items()}
    shared = said["outputs"]["shared"]
    return TextGraph(
        said["files"],
        said["tokenizer"],
        ports["ids"],
        ports.get("mask"),
        Port(shared["name"], "float32", ("batch", shared["dim"])),
        tuple(said["with"]),
    )
