"""How well neighbours in feature space share a label: a number for progress that no training sees."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from avfeat.bundle import Modality
from avfeat.evaluation.nearest import vote
from avfeat.training.data import Cache
from avfeat.training.data.randomness import generator
from avfeat.training.data.windows import read_window, window_starts
from avfeat.training.networks import EncoderPair, PairSpec
from avfeat.training.networks.calibrate import calibrate_batch_norm
from avfeat.training.networks.registry import log_mel_of
from avfeat.training.recipes import ProbeSettings
from avfeat.training.trainer.model import MODALITIES

_BATCH = 64


@dataclass(frozen=True)
class Accuracy:
    """Leave-one-out nearest-neighbour accuracy, in [0, 1]; neighbours vote as in ``avfeat.evaluation.nearest``.

    Attributes:
        both: of video and audio together.
        video: of video alone.
        audio: of audio alone.
    """

    both: float
    video: float
    audio: float


class KnnProbe:
    """A fixed choice of labelled clips and their windows."""

    def __init__(self, cache: Cache, spec: PairSpec, settings: ProbeSettings, seed: int) -> None:
        """Choose up to ``settings.clips`` labelled clips with video and audio."""
        labelled = np.intersect1d(np.flatnonzero(cache.labels >= 0), cache.members("both"))
        chosen = generator("probe", seed).permutation(labelled)[: settings.clips]
        self._items = np.sort(chosen)
        self._cache = cache
        self._spec = spec
        self._settings = settings
        self._labels = cache.labels[self._items]
        names = [cache.rows[item].group or f"\n{item}" for item in self._items]
        self._groups = np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1].astype(np.int64)

    @property
    def useful(self) -> bool:
        """Whether some clip has another one of its label to be found."""
        return any(len(set(self._groups[self._labels == label])) > 1 for label in np.unique(self._labels))

    @property
    def chance(self) -> float:
        """Accuracy of always guessing the majority class."""
        return float(np.bincount(self._labels).max() / len(self._labels))

    def random_init(self, pair: EncoderPair, device: torch.device) -> Accuracy:
        """Accuracy of untrained encoders, their BatchNorm statistics calibrated on these clips: what to beat."""
        pair = copy.deepcopy(pair)
        log_mel = log_mel_of(self._spec).to(device)
        with torch.no_grad():
            calibrate_batch_norm(pair.video, (frames for frames, _ in self._batches(device)))
            calibrate_batch_norm(pair.audio, (log_mel(waveform) for _, waveform in self._batches(device)))
        return self.measure(pair, device)

    @torch.no_grad()
    def measure(self, pair: EncoderPair, device: torch.device) -> Accuracy:
        """Accuracy of ``pair``'s features, in evaluation mode; its mode is restored."""
        training = pair.training
        pair.eval()
        log_mel = log_mel_of(self._spec).to(device)
        found: dict[Modality, list[Tensor]] = {name: [] for name in MODALITIES}
        for frames, waveform in self._batches(device):
            found["video"].append(pair.video.backbone(frames))
            found["audio"].append(pair.audio.backbone(log_mel(waveform)))
        pair.train(training)
        features = {name: self._pool(torch.cat(parts)) for name, parts in found.items()}
        both = torch.cat([features["video"], features["audio"]], dim=1)
        return Accuracy(*(self._accuracy(one) for one in (both, features["video"], features["audio"])))

    def _batches(self, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Windows of all clips: frames ``(n, T, 3, height, width)`` in [0, 1] and waveforms ``(n, samples)``."""
        places = [(item, window) for item in self._items for window in range(self._settings.windows)]
        # Of nearly one size: a last one of a single window would have no BatchNorm statistics.
        for part in np.array_split(np.array(places), -(-len(places) // _BATCH)):
            windows = [self._window(int(item), int(window)) for item, window in part]
            frames = torch.from_numpy(np.stack([frames for frames, _ in windows])).to(device)
            waveform = torch.from_numpy(np.stack([sound for _, sound in windows])).to(device)
            yield frames.movedim(-1, -3).float() / 255, waveform

    def _window(self, item: int, window: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        spec = self._spec
        starts = window_starts(self._cache.rows[item], spec.seconds, self._settings.windows, "middles")
        return read_window(self._cache.clip(item), int(starts[window]), spec.seconds, spec.fps, spec.sample_rate)

    def _pool(self, features: Tensor) -> Tensor:
        """Mean of each clip's windows, each dimension at zero mean and unit variance, then of unit length."""
        clips = features.float().view(-1, self._settings.windows, features.shape[1]).mean(1)
        clips = (clips - clips.mean(0)) / (clips.std(0) + 1e-6)
        return F.normalize(clips, dim=1)

    def _accuracy(self, features: Tensor) -> float:
        rows = features.cpu().double().numpy()
        return float(vote(rows, self._labels, self._groups, self._settings.neighbours).mean())
