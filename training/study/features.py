"""Features of whole clips: what frozen backbones make of evenly spaced windows, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avfeat.bundle import Modality
from avfeat.training.data import Cache
from avfeat.training.data.windows import read_window, window_starts
from avfeat.training.networks import EncoderPair, PairSpec
from avfeat.training.networks.registry import log_mel_of
from avfeat.training.trainer.model import MODALITIES

_BATCH = 64
Features = dict[Modality, NDArray[np.float32]]


@torch.no_grad()
def clip_features(
    cache: Cache,
    pair: EncoderPair,
    spec: PairSpec,
    windows: int,
    device: torch.device,
    alive: Callable[[], None] = lambda: None,
) -> Features:
    """Mean features of each clip's windows, by modality: float32 ``(clips, dim)``; zeros without the stream.

    Args:
        cache: prepared for ``spec``.
        pair: in evaluation mode, on ``device``.
        spec: what a window is.
        windows: of each clip.
        device: where to compute.
        alive: called before every batch; it may raise to stop.
    """
    log_mel = log_mel_of(spec).to(device)
    found: dict[Modality, list[Tensor]] = {name: [] for name in MODALITIES}
    for frames, waveform in _batches(cache, spec, windows, device):
        alive()
        found["video"].append(pair.video.backbone(frames).float().cpu())
        found["audio"].append(pair.audio.backbone(log_mel(waveform)).float().cpu())
    features = {name: _means(parts, windows) for name, parts in found.items()}
    features["video"][[row.video_end is None for row in cache.rows]] = 0
    features["audio"][[row.audio_end is None for row in cache.rows]] = 0
    return features


def _means(parts: list[Tensor], windows: int) -> NDArray[np.float32]:
    every: NDArray[np.float32] = torch.cat(parts).numpy()
    means: NDArray[np.float32] = every.reshape(-1, windows, every.shape[1]).mean(axis=1)
    return means


def _batches(cache: Cache, spec: PairSpec, windows: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """All windows: frames ``(n, T, 3, height, width)`` in [0, 1] and waveforms ``(n, samples)``."""
    clips = max(1, _BATCH // windows)
    for first in range(0, len(cache), clips):
        read = [_clip(cache, item, spec, windows) for item in range(first, min(first + clips, len(cache)))]
        frames = torch.from_numpy(np.concatenate([one for one, _ in read])).to(device)
        waveform = torch.from_numpy(np.concatenate([one for _, one in read])).to(device)
        yield frames.movedim(-1, -3).float() / 255, waveform


def _clip(cache: Cache, item: int, spec: PairSpec, windows: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    clip, begins = cache.clip(item), window_starts(cache.rows[item], spec.seconds, windows)
    read = [read_window(clip, int(begin), spec.seconds, spec.fps, spec.sample_rate) for begin in begins]
    return np.stack([frames for frames, _ in read]), np.stack([sound for _, sound in read])
