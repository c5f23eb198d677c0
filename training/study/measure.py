"""The probe at the end of a run: AVE's video protocol on the features of frozen backbones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avfeat.errors import AvfeatError
from avfeat.evaluation.probe import linear_probe
from avfeat.training.checkpoint import Checkpoint
from avfeat.training.data import Cache
from avfeat.training.study.features import Features, clip_features
from avfeat.training.study.material import PARTS, Part

MODALITIES = ("video", "audio", "av")


class ProbeError(AvfeatError):
    """Features that cannot be probed: the run's own fault."""


@dataclass(frozen=True)
class Measurement:
    """Test accuracy in [0, 1] and the chosen C, for ``video``, ``audio`` and ``av``."""

    accuracy: dict[str, float]
    c: dict[str, float]


def measure(
    run: Path, caches: dict[Part, Cache], windows: int, device: torch.device, alive: Callable[[], None]
) -> Measurement:
    """Embed all clips with the trained backbones of ``run``, fit on train, choose C on val, count on test.

    Args:
        run: folder with a checkpoint.
        caches: the three parts, prepared for its networks.
        windows: of each clip.
        device: where to embed.
        alive: called again and again; it may raise to stop.

    Raises:
        ProbeError: features that are no numbers, or a probe that does not converge.
    """
    found = Checkpoint.load(run)
    pair = found.pair().to(device)
    features = {part: clip_features(caches[part], pair, found.spec, windows, device, alive) for part in PARTS}
    return probe_features(features, dict(zip(PARTS, labels_of(caches), strict=True)))


def probe_features(features: dict[Part, Features], labels: dict[Part, NDArray[np.int64]]) -> Measurement:
    """The linear probe on each modality, and on both side by side.

    Raises:
        ProbeError: features that are no numbers, or a probe that does not converge.
    """
    accuracy, chosen = {}, {}
    for name in MODALITIES:
        rows = {part: _rows(features[part], name) for part in PARTS}
        if not all(np.isfinite(one).all() for one in rows.values()):
            raise ProbeError(f"The {name} features are NaN or infinite; take a lower optimizer.lr.")
        train, val = ((rows[part], labels[part]) for part in PARTS[:2])
        try:
            result = linear_probe(train, val, rows["test"])
        except AvfeatError as error:
            raise ProbeError(f"The {name} features cannot be probed: {error}") from error
        accuracy[name] = float(np.mean(result.predicted == labels["test"]))
        chosen[name] = result.c
    return Measurement(accuracy, chosen)


def labels_of(caches: dict[Part, Cache]) -> list[NDArray[np.int64]]:
    """The classes of all parts' clips as numbers, the same for all parts."""
    names = sorted({row.label or "" for cache in caches.values() for row in cache.rows})
    place = {name: number for number, name in enumerate(names)}
    return [np.array([place[row.label or ""] for row in caches[part].rows], dtype=np.int64) for part in PARTS]


def _rows(features: Features, name: str) -> NDArray[np.float32]:
    if name == "av":
        return np.concatenate([features["video"], features["audio"]], axis=1)
    return features["video"] if name == "video" else features["audio"]
