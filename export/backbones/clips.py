"""Real windows of any size that files are tried on: of media that are named, or of synthetic videos."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.bundle import Modality
from avfeat.datasets.files import media_below
from avfeat.errors import ArgumentError, MediaError
from avfeat.export.parity.probes import INPUTS, ParityInput, golden_inputs, random_probes
from avfeat.export.window import WindowSpec
from avfeat.grid import Grid
from avfeat.media import VideoSpec, media_windows
from avfeat.world import plan
from avfeat.world.render import write_video

CLIPS = 8
"""How many different clips a network is tried on: enough to see how far apart clips are."""
_LARGEST = 480


def clip_probes(media: Path | None, window: WindowSpec, side: int) -> tuple[list[ParityInput], NDArray[np.int64]]:
    """One window of each of some clips, at the size that it has; random and golden inputs.

    Args:
        media: a file or folder of media; None for synthetic videos.
        window: what a window is.
        side: of the frames that the network sees, in pixels.

    Returns:
        The inputs, and the clip that each row of media of a modality is of.

    Raises:
        ArgumentError: fewer than two files that have all that the network takes.
    """
    with _files(media) as files:
        found = list(_windows(files, window))
    if len(found) < 2:
        raise ArgumentError(
            f"{media}: {len(found)} of its files can be used, and two different ones are needed; "
            "name other media with --calibration."
        )
    probes = [
        ParityInput(modality, "media", rows[modality][None]) for modality in window.modalities for rows in found
    ]
    probes += random_probes(window, np.random.default_rng(0), side)
    golden = golden_inputs(window)
    probes += [ParityInput(modality, "golden", golden[INPUTS[modality]]) for modality in window.modalities]
    return probes, np.arange(len(found), dtype=np.int64)


@contextmanager
def _files(media: Path | None) -> Iterator[list[Path]]:
    if media is not None:
        yield [media] if media.is_file() else list(media_below(media))
        return
    with tempfile.TemporaryDirectory(prefix="avfeat-clips-") as folder:
        paths = [Path(folder) / f"{number}.mp4" for number in range(CLIPS)]
        for path, video in zip(paths, plan(CLIPS), strict=True):
            write_video(video, path)
        yield paths


def _windows(files: list[Path], window: WindowSpec) -> Iterator[Mapping[Modality, NDArray[Any]]]:
    """The second window of each of the first files that have all that is taken; the first where it is the only."""
    video = window.video and VideoSpec(window.video.fps, window.video.frames, None)
    taken = 0
    for file in files:
        best: dict[Modality, NDArray[Any]] = {}
        try:
            for cut in media_windows(file, Grid.from_seconds(window.seconds), video, window.audio):
                parts: dict[Modality, NDArray[Any] | None] = {"video": cut.frames, "audio": cut.waveform}
                rows = {name: part for name in window.modalities if (part := parts[name]) is not None}
                best = rows if len(rows) == len(window.modalities) else best
                if best and cut.index:
                    break
        except MediaError:
            continue  # What cannot be read is no clip to try anything on.
        if best:
            if "video" in best:
                best["video"] = _smaller(best["video"])
            yield best
            taken += 1
        if taken == CLIPS:
            return


def _smaller(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every n-th pixel of what is larger than any network sees."""
    step = max(1, min(frames.shape[1:3]) // _LARGEST)
    return np.ascontiguousarray(frames[:, ::step, ::step])
