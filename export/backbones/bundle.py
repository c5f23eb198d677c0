"""Networks of others as a bundle that gives what their own libraries give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import avfeat
from avfeat.backends import GraphOutput
from avfeat.bundle import GOLDEN, MODEL_CARD, Modality, check_free, write_bundle
from avfeat.errors import ArgumentError
from avfeat.export.backbones.clips import clip_probes
from avfeat.export.backbones.raw import Pool, RawFrames, RawSound, pool_frames
from avfeat.export.backbones.text import one_space, write_text
from avfeat.export.backbones.window import FrameSize, choose_window, steps_of
from avfeat.export.bundle import ExportedBundle, check_distances, check_parity, npz
from avfeat.export.card import card
from avfeat.export.formats.example import Example, audio_example, video_example
from avfeat.export.formats.onnx import OUTPUTS, finish_files, write_onnx
from avfeat.export.manifest import description, encoder
from avfeat.export.parity.gate import Expected, report
from avfeat.export.parity.probes import INPUTS, golden_inputs
from avfeat.export.window import WindowSpec
from avfeat.training.backbones.backbone import (
    AudioBackbone,
    Origin,
    Steps,
    TextBackbone,
    VideoBackbone,
    as_outputs,
    by_name,
)
from avfeat.training.provenance import revision

_SIDE = 112
_FIRST = """Networks of others as files that take raw frames and raw sound, held against the pipelines of their own
libraries.
"""
_REFERENCE = "the libraries' own preprocessing and the networks in PyTorch"
RESAMPLED = 5e-3
"""What ``distance`` may be of networks of frames.

Pillow and torchvision resample bytes with coefficients of fixed point, and Pillow chooses which side it scales
first: what the graph gives is one level of 255 away from theirs, measured over five sizes in up to 0.6 % of the
values, and in up to a quarter where Pillow begins with the height. Small networks with random weights, which are
the most sensitive, came out up to 1e-3 away. A wrong kernel, or a crop that is a pixel off, is refused.
"""


@dataclass(frozen=True, eq=False)
class Library:
    """What the networks give for raw inputs when their own libraries prepare these, one window at a time.

    ``rows`` says how many dense rows of a window are kept, by modality.
    """

    video: VideoBackbone | None
    audio: AudioBackbone | None
    pool: Pool
    rows: Mapping[Modality, int] = field(default_factory=dict)

    def run(self, modality: Modality, batch: NDArray[Any]) -> GraphOutput:
        """What a session for ``modality`` should give for ``batch``."""
        one = self._video if modality == "video" else self._audio
        with torch.inference_mode():
            rows = [one(row) for row in batch]
        found = {key: torch.cat([row[key] for row in rows]).float().numpy() for key in rows[0]}
        shared = found.get("shared", np.zeros((len(batch), 0), np.float32))
        kept = self.rows.get(modality)
        return GraphOutput(found["features"], shared, None if kept is None else found["frames"][:, :kept])

    def _video(self, frames: NDArray[np.uint8]) -> dict[str, torch.Tensor]:
        assert self.video is not None
        taken = self.video.pipeline(frames)
        if self.video.fps is not None:
            return by_name(as_outputs(self.video.network(taken[None])), self.video.rows is not None)
        found = pool_frames(as_outputs(self.video.network(taken)), len(frames), self.pool)
        return by_name(found, self.pool == "none")

    def _audio(self, waveform: NDArray[np.float32]) -> dict[str, torch.Tensor]:
        assert self.audio is not None
        return by_name(self.audio.pipeline(waveform), self.audio.steps is not None)


def export_backbones(
    path: str | Path,
    video: VideoBackbone | None,
    audio: AudioBackbone | None,
    *,
    frames: int | None = None,
    seconds: float | None = None,
    size: FrameSize = "original",
    pool: Pool = "mean",
    text: Modality | None = None,
    media: Path | None = None,
    name: str | None = None,
    licence: str | None = None,
    data: str | None = None,
    notes: str = "",
    follow: Callable[[str], object] = lambda stage: None,
) -> ExportedBundle:
    """Write networks of others as a bundle of raw-in ONNX files, held against their own libraries' pipelines.

    Args:
        path: folder to make; there may be an empty one already.
        video: the network of frames, or None to leave video out.
        audio: the network of sound, or None to leave audio out.
        frames: of a window, evenly spaced; None for what suits the network.
        seconds: of a window; None likewise.
        size: of the frames that the graph is given: ``original`` as they were decoded, so that embeddings are the
            library's; ``network`` for what FFmpeg makes of them, which takes less time, and is near.
        pool: what is made of the features of a window's frames: their mean, or mean and standard deviation;
            ``none`` keeps them beside their mean, as dense rows, and those of networks of sound, too.
        text: the network whose text tower the bundle gets; None for no text.
        media: a file or folder of real media that parity is measured on; None for synthetic videos.
        name: of the model, None for one made of the SPECs.
        licence: of the weights, None for what is known of them.
        data: what the networks were trained on, in words; None for "as their authors state".
        notes: Markdown for the model card.
        follow: called with the name of each stage when it begins.

    Raises:
        ArgumentError: no network, a window that a network does not take, or dense rows of networks without any.
        ParityError: a file computes something else; nothing is left at ``path``.
        ExportError: a network has an operator that cannot be exported.
        BundleError: something lies at ``path``.
    """
    target = Path(path)
    check_free(target)
    if video is None and audio is None:
        raise ArgumentError("A bundle needs a network: give --video, --audio, or both.")
    window = choose_window(video, audio, seconds, frames, size)
    tower = _tower(video, audio, text)
    video, audio = one_space(video, audio, text)
    steps = steps_of(window, video, audio) if pool == "none" else {}
    follow("reading clips")
    probes, clips = clip_probes(media, window, _SIDE if video is None else video.look.size)
    graphs, golden = raw_graphs(window, video, audio, pool), golden_inputs(window)
    for modality, (network, _) in graphs.items():
        # What this very graph gives, so that other machines are held to it closely.
        with torch.inference_mode():
            found = by_name(network(torch.from_numpy(golden[INPUTS[modality]])), modality in steps)
        if modality in steps:
            found["frames"] = found["frames"][:, : steps[modality].within(window.seconds)]
        golden |= {f"{modality}_{key}": rows.numpy() for key, rows in found.items()}
    follow("the networks in their own libraries, on the clips")
    library = Library(video, audio, pool, {key: golden[f"{key}_frames"].shape[1] for key in steps})
    expected = Expected.from_reference(library, probes, clips)
    check_distances(expected)
    manifest = _manifest(window, golden, steps, _origins(video, audio), name, licence, data)
    if video is not None:
        manifest["video"]["motion"] = video.fps is not None
    files: dict[str, bytes] = {GOLDEN: npz(golden)}
    for modality, (network, example) in graphs.items():
        follow(f"writing {modality}")
        outputs = [port["name"] for port in manifest[modality]["outputs"].values()]
        model = write_onnx(network, example, outputs)
        files |= finish_files(model, description(manifest, modality), f"{modality}.onnx")
    written = None
    if tower is not None and text is not None:
        follow("writing text")
        written = write_text(tower, text, description(manifest))
    follow("trying the files out")
    rows = check_parity(manifest, files, expected, _bounds(window))
    rows += [] if written is None else written.rows
    manifest["parity"] = report(rows, expected, "synthetic videos" if media is None else media.name)
    if written is not None:
        manifest["text"] = written.said
        manifest["parity"]["distances"]["text_shared"] = written.distance
        files |= {**written.files, GOLDEN: npz(golden | written.golden)}
    files[MODEL_CARD] = card(manifest, rows, _FIRST, _REFERENCE, notes, _remarks(audio)).encode()
    return ExportedBundle(write_bundle(target, manifest, files), tuple(rows))


def _remarks(audio: AudioBackbone | None) -> tuple[str, ...]:
    return (audio.note,) if audio is not None and audio.note else ()


def _tower(video: VideoBackbone | None, audio: AudioBackbone | None, text: Modality | None) -> TextBackbone | None:
    """The text tower of the network that is named: before any work, as there may be none."""
    if text is None:
        return None
    owner = video if text == "video" else audio
    if owner is None or owner.text is None:
        raise ArgumentError(f"The network of {text} has no text tower; leave text out.")
    return owner.text()


def _bounds(window: WindowSpec) -> dict[str, float]:
    """What distances may be: a window's row is the mean of its frames' rows, which are off by themselves.

    EfficientNet-Lite0 with random weights, 4 frames: 2.2e-3 for the window, 4.2e-3 for a frame.
    """
    frames = 1 if window.video is None else window.video.frames
    return {"video": RESAMPLED, "video_frames": RESAMPLED * frames**0.5}


def raw_graphs(
    window: WindowSpec, video: VideoBackbone | None, audio: AudioBackbone | None, pool: Pool
) -> dict[Modality, tuple[nn.Module, Example]]:
    """The networks with what prepares raw frames and sound for them, and what each is traced with."""
    found: dict[Modality, tuple[nn.Module, Example]] = {}
    if video is not None and window.video is not None:
        network = RawFrames(video, window.video.frames, pool)
        found["video"] = network.eval(), video_example(window.video.frames)
    if audio is not None:
        found["audio"] = RawSound(audio, pool).eval(), audio_example(audio.rate)
    return found


def _origins(video: VideoBackbone | None, audio: AudioBackbone | None) -> dict[Modality, Origin]:
    pairs: tuple[tuple[Modality, VideoBackbone | AudioBackbone | None], ...] = (("video", video), ("audio", audio))
    return {modality: backbone.origin for modality, backbone in pairs if backbone is not None}


def _manifest(
    window: WindowSpec,
    golden: Mapping[str, NDArray[Any]],
    steps: Mapping[Modality, Steps],
    origins: Mapping[Modality, Origin],
    name: str | None,
    licence: str | None,
    data: str | None,
) -> dict[str, Any]:
    versions = {key: value for origin in origins.values() for key, value in origin.versions.items()}
    found: dict[str, Any] = {
        "name": name or " + ".join(origin.spec for origin in origins.values()),
        "licence": licence or "; ".join(f"{key}: {origin.licence}" for key, origin in origins.items()),
        "trained": all(origin.trained for origin in origins.values()),
        "seconds": window.seconds,
    }
    for modality in window.modalities:
        found[modality] = _encoder(modality, window, golden, steps)
    found["precision"] = "fp32"
    found["provenance"] = {
        "avfeat": avfeat.__version__,
        **versions,
        "networks": {key: origin.spec for key, origin in origins.items()},
        "weights": {key: origin.fingerprint for key, origin in origins.items()},
        "data": data or "as the authors of the networks state",
        "revision": revision(),
    }
    found["parity"] = {}
    return found


def _encoder(
    modality: Modality,
    window: WindowSpec,
    golden: Mapping[str, NDArray[Any]],
    steps: Mapping[Modality, Steps],
) -> dict[str, Any]:
    widths = {key: rows.shape[1] for key in OUTPUTS if (rows := golden.get(f"{modality}_{key}")) is not None}
    said = encoder(modality, window, {"onnx": f"{modality}.onnx"}, widths)
    if modality in steps:
        _, rows, dim = golden[f"{modality}_frames"].shape
        # No output of a graph can be called as an input is.
        dense = {"name": "frame_features", "dim": dim, "rows": rows, **asdict(steps[modality])}
        said["outputs"]["frames"] = dense
    return said
