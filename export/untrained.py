"""Writes a bundle of untrained encoders: ``python -m avfeat.export.untrained MEDIA OUT``.

Random weights are a baseline in their own right, and all that a first bundle needs: BatchNorm statistics are
calibrated on real media, so that features have unit scale and different clips get different vectors.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from avfeat.bundle import Bundle
from avfeat.errors import MediaError
from avfeat.export.bundle import Origin, export_onnx_bundle
from avfeat.media import Decoded, decode
from avfeat.media.source import MEDIA_SUFFIXES
from avfeat.training.networks import PAIRS, PairSpec, build_pair
from avfeat.training.networks.calibrate import calibrate_batch_norm
from avfeat.training.networks.log_mel import LogMel

_CARD = """# {name}: untrained

**This model is untrained: its weights are random.** It shows that everything around a model works, and it is the
baseline that a trained model has to beat. Do not expect its embeddings to mean anything.

| | video | audio |
|---|---|---|
| network | {spec.video} | {spec.audio} |
| a window | {frames} | {samples} |
| features | {video_dim} | {audio_dim} |
| shared | {spec.shared} | {spec.shared} |

- Weights: random (seed {seed}). BatchNorm statistics: averages over {windows} windows of {clips} short clips, so
  that features have about zero mean and unit variance.
- Licence of the weights: {licence}.
- Limits: no meaning was learned. Similar clips get similar vectors only as far as their pixels and spectra agree.
"""


def export_untrained(media: Path, out: Path, name: str = "mini", seed: int = 0, clips: int = 160) -> Bundle:
    """Calibrate a random pair on up to ``clips`` files below ``media`` and write it as a bundle.

    Args:
        media: folder of media files with sound; a file that cannot be read is left out.
        out: folder to make.
        name: which pair.
        seed: of the weights and of the choice of clips.
        clips: how many files at most.

    Raises:
        ValueError: no media below the folder, or no such pair.
        BundleError: ``out`` exists already.
    """
    torch.manual_seed(seed)
    pair, spec = build_pair(name), PAIRS[name]
    windows = list(_windows(_some_files(media, seed, clips), spec))
    if len(windows) < 2:
        raise ValueError(f"{media}: calibration needs media with picture and sound for at least two windows.")
    log_mel = LogMel(spec.sample_rate)
    order = random.Random(seed).sample(range(len(windows)), len(windows))
    # Large batches: their statistics stand for those of the whole.
    batches = [[windows[i] for i in order[at : at + 64]] for at in range(0, len(order) - 1, 64)]
    calibrate_batch_norm(pair.video, (torch.stack([w[0] for w in batch]).float() / 255 for batch in batches))
    calibrate_batch_norm(pair.audio, (log_mel(torch.stack([w[1] for w in batch])) for batch in batches))
    origin = Origin(
        name=f"avfeat-{name}-untrained",
        licence="MIT",
        trained=False,
        data=f"untrained: random weights; BatchNorm statistics from {len(windows)} windows of short public clips",
        recipe=f"avfeat.export.untrained, pair {name}, seed {seed}",
        revision=_revision(),
    )
    card = _CARD.format(
        name=origin.name,
        spec=spec,
        frames=f"{spec.frames} frames at {spec.fps}/s, {spec.size}x{spec.size} RGB",
        samples=f"{spec.seconds:g} s at {spec.sample_rate} Hz, mono",
        video_dim=pair.video.dim,
        audio_dim=pair.audio.dim,
        seed=seed,
        windows=len(windows),
        clips=clips,
        licence=origin.licence,
    )
    return export_onnx_bundle(out, pair, spec, origin, card)


def _some_files(media: Path, seed: int, clips: int) -> list[Path]:
    files = sorted(path for path in media.rglob("*") if path.suffix.lower() in MEDIA_SUFFIXES)
    return random.Random(seed).sample(files, min(clips, len(files)))


def _windows(files: list[Path], spec: PairSpec) -> Iterator[tuple[Tensor, Tensor]]:
    """Up to three windows of each file that has picture and sound: ``(T, 3, size, size)`` and ``(samples,)``."""
    samples = round(spec.seconds * spec.sample_rate)
    for path in files:
        decoded = _try_decode(path, spec)
        if decoded is None or decoded.frames is None or decoded.waveform is None:
            continue
        count = min(len(decoded.frames) // spec.frames, len(decoded.waveform) // samples)
        for k in range(0, count, -(-count // 3)) if count else ():
            frames = decoded.frames[k * spec.frames : (k + 1) * spec.frames]
            waveform = decoded.waveform[k * samples : (k + 1) * samples]
            yield torch.from_numpy(frames).permute(0, 3, 1, 2), torch.from_numpy(waveform)


def _try_decode(path: Path, spec: PairSpec) -> Decoded | None:
    try:
        return decode(path, fps=spec.fps, size=spec.size, sample_rate=spec.sample_rate)
    except MediaError as error:
        typer.echo(f"left out: {error}", err=True)
        return None


def _revision() -> str:
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def main(
    media: Annotated[Path, typer.Argument(help="Folder of media files with sound.")],
    out: Annotated[Path, typer.Argument(help="Folder of the bundle to write.")],
    name: Annotated[str, typer.Option(help="Which pair of networks.")] = "mini",
    seed: Annotated[int, typer.Option(help="Seed of the weights.")] = 0,
    clips: Annotated[int, typer.Option(help="How many files to calibrate on, at most.")] = 160,
) -> None:
    """Write a bundle of untrained encoders, calibrated on real media."""
    bundle = export_untrained(media, out, name, seed, clips)
    typer.echo(f"{bundle.path}: {bundle.name}, untrained. Next: avfeat verify {bundle.path}")


if __name__ == "__main__":
    typer.run(main)
