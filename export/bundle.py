"""From a pair of encoders to a bundle on disk."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import avfeat
from avfeat.bundle import Bundle, write_bundle
from avfeat.export.onnx import audio_onnx, video_onnx
from avfeat.export.raw import RawAudio, RawVideo
from avfeat.training.networks import EncoderPair, PairSpec
from avfeat.training.networks.log_mel import LogMel


@dataclass(frozen=True)
class Origin:
    """Where weights come from, for ``bundle.json`` and the model card.

    Attributes:
        name: of the model.
        licence: of the weights.
        trained: False for random weights.
        data: what the weights and statistics were made from, in words.
        recipe: how.
        revision: git revision of the code, or "unknown".
    """

    name: str
    licence: str
    trained: bool
    data: str
    recipe: str
    revision: str


def export_onnx_bundle(path: str | Path, pair: EncoderPair, spec: PairSpec, origin: Origin, card: str) -> Bundle:
    """Write ``pair`` as a raw-in fp32 ONNX bundle with its golden outputs.

    Args:
        path: folder to make.
        pair: encoders with calibrated or trained BatchNorm statistics.
        spec: what a window is for them.
        origin: where the weights come from.
        card: text of the model card.

    Raises:
        BundleError: the folder exists already.
        ValueError: a graph that is not standard ONNX.
    """
    video = RawVideo(pair.video, spec.size).eval()
    audio = RawAudio(pair.audio, LogMel(spec.sample_rate)).eval()
    manifest = _manifest(pair, spec, origin)
    files = {
        "video.onnx": video_onnx(video, spec.frames, {"name": origin.name, **manifest["video"]}),
        "audio.onnx": audio_onnx(audio, spec.sample_rate, {"name": origin.name, **manifest["audio"]}),
        "golden.npz": _npz(golden_arrays(video, audio, spec)),
        "MODEL_CARD.md": card.encode(),
    }
    return write_bundle(path, manifest, files)


def golden_arrays(video: RawVideo, audio: RawAudio, spec: PairSpec) -> dict[str, NDArray[Any]]:
    """Small inputs that any runtime can feed, and the outputs that the networks give for them in fp32.

    Two windows: colours and tones that move, then noise. The frames are not of the network's size, so that the
    resize is part of what is checked.
    """
    rng = np.random.default_rng(0)
    time, height, width = np.ogrid[0 : spec.frames, 0:36, 0:48]
    waves = [np.sin(0.2 * height * (c + 1) + 0.3 * width + 0.5 * time * (c - 1)) for c in range(3)]
    moving = 127.5 + 127.5 * np.stack(waves, axis=-1)
    noise = rng.integers(0, 256, moving.shape)
    frames = np.stack([moving, noise]).astype(np.uint8)
    seconds = np.arange(round(spec.seconds * spec.sample_rate)) / spec.sample_rate
    chirp = 0.5 * np.sin(2 * np.pi * (200 + 400 * seconds) * seconds)
    hiss = rng.standard_normal(len(seconds))
    waveform = np.stack([chirp + 0.01 * hiss, 0.1 * hiss]).astype(np.float32)
    with torch.inference_mode():
        video_features, video_shared = video(torch.from_numpy(frames))
        audio_features, audio_shared = audio(torch.from_numpy(waveform))
    return {
        "frames": frames,
        "waveform": waveform,
        "video_features": video_features.numpy(),
        "video_shared": video_shared.numpy(),
        "audio_features": audio_features.numpy(),
        "audio_shared": audio_shared.numpy(),
    }


def _manifest(pair: EncoderPair, spec: PairSpec, origin: Origin) -> dict[str, Any]:
    return {
        "name": origin.name,
        "licence": origin.licence,
        "trained": origin.trained,
        "seconds": spec.seconds,
        "video": {
            "files": {"onnx": "video.onnx"},
            "input": {
                "name": "frames",
                "dtype": "uint8",
                "shape": ["batch", spec.frames, "height", "width", 3],
            },
            "outputs": _outputs(pair.video.dim, pair.video.shared_dim),
            "fps": spec.fps,
            "frames": spec.frames,
            "size": spec.size,
            "aspect": "stretch",
        },
        "audio": {
            "files": {"onnx": "audio.onnx"},
            "input": {"name": "waveform", "dtype": "float32", "shape": ["batch", "samples"]},
            "outputs": _outputs(pair.audio.dim, pair.audio.shared_dim),
            "sample_rate": spec.sample_rate,
        },
        "precision": "fp32",
        "provenance": {
            "avfeat": avfeat.__version__,
            "torch": torch.__version__,
            "networks": {"video": spec.video, "audio": spec.audio},
            "recipe": origin.recipe,
            "data": origin.data,
            "revision": origin.revision,
        },
        "parity": {},
    }


def _outputs(features: int, shared: int) -> Mapping[str, Any]:
    return {
        "features": {"name": "features", "dim": features},
        "shared": {"name": "shared", "dim": shared},
    }


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
