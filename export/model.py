"""What is exported: trained encoders from a run, or untrained ones, calibrated."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avfeat.errors import ArgumentError
from avfeat.export.media import ClipWindows
from avfeat.suggest import suggestion
from avfeat.training.checkpoint import Checkpoint
from avfeat.training.data.sources.address import parse
from avfeat.training.networks import PAIRS, EncoderPair, PairSpec, build_pair
from avfeat.training.networks.calibrate import calibrate_batch_norm
from avfeat.training.networks.registry import log_mel_of
from avfeat.training.provenance import revision

UNTRAINED = "untrained:"
_BATCH = 64


@dataclass(frozen=True)
class WeightsOrigin:
    """Where weights come from, for ``bundle.json`` and the model card.

    Attributes:
        name: of the model.
        licence: of the weights.
        trained: False for random weights.
        data: what the weights and statistics were made from, in words.
        recipe: how, as JSON values.
        revision: git revision of the code, or "unknown".
        step: steps of training.
    """

    name: str
    licence: str
    trained: bool
    data: str
    recipe: Any
    revision: str
    step: int = 0


@dataclass(frozen=True, eq=False)
class Model:
    """Encoders in evaluation mode, what a window is for them, and where they come from."""

    pair: EncoderPair
    spec: PairSpec
    weights_origin: WeightsOrigin


def spec_of(source: str) -> PairSpec:
    """What a window is for the encoders of ``source``; as ``open_model``."""
    if source.startswith(UNTRAINED):
        return _make_untrained(source)[0]
    return Checkpoint.load(Path(source)).spec


def open_model(
    source: str, windows: ClipWindows, name: str | None = None, licence: str | None = None, data: str | None = None
) -> Model:
    """Encoders that are ready for export.

    Args:
        source: the folder of a run, a checkpoint, or ``untrained:NAME?seed=N`` for a pair with random weights.
        windows: media that the BatchNorm statistics of untrained networks are calibrated on.
        name: of the model, None for one made of ``source``.
        licence: of the weights, None for MIT for random ones and "not stated" for others.
        data: what trained weights were made from, in words; None for the DATA of the training.

    Raises:
        ArgumentError: no such pair, or words about the data of an untrained one.
        CheckpointError: a checkpoint that is missing, broken or of another version.
    """
    check_words(source, data)
    if source.startswith(UNTRAINED):
        return _random(source, windows, name, licence)
    path = Path(source)
    checkpoint = Checkpoint.load(path)
    weights_origin = WeightsOrigin(
        name or f"avfeat-{_run_name(path)}",
        licence or "not stated",
        True,
        data or _data(checkpoint),
        dict(checkpoint.recipe),
        str(checkpoint.provenance.get("revision", "unknown")),
        checkpoint.step,
    )
    return Model(checkpoint.pair(), checkpoint.spec, weights_origin)


def check_words(source: str, data: str | None) -> None:
    """Words about the data belong to trained weights alone.

    Raises:
        ArgumentError: there are some for an untrained pair.
    """
    if source.startswith(UNTRAINED) and data is not None:
        raise ArgumentError(f"{source}: nothing was trained, so there are no words about its data; leave it out.")


def _run_name(path: Path) -> str:
    """Of the run, also where its checkpoint is named."""
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    return folder.parent.name if folder.name == "checkpoints" else folder.name


def _data(checkpoint: Checkpoint) -> str:
    """What the weights were made from: what they began with, and who taught them, too."""
    begun, teacher = (checkpoint.provenance.get(name) or {} for name in ("init", "teacher"))
    words = [f"{modality} begun with {start}" for modality, start in begun.items()]
    if "source" in teacher:
        words.append(f"learned from a teacher that was trained on {_clips(teacher.get('data', {}))}")
    else:
        words += [f"{modality} learned from {_teacher(facts)}" for modality, facts in teacher.items()]
    return "; ".join([_clips(checkpoint.data), *words])


def _teacher(facts: Mapping[str, Any]) -> str:
    """A published network and the licence of its weights, or a run and its data."""
    said = facts["licence"] if "licence" in facts else f"trained on {_clips(facts.get('data', {}))}"
    return f"{facts['source']} ({said})"


def _clips(data: Mapping[str, Any]) -> str:
    return f"{data.get('source', 'not stated')}: {data.get('clips', '?')} clips, {data.get('seconds', '?')} s"


def _make_untrained(source: str) -> tuple[PairSpec, str, int]:
    """The pair, its name and the seed of ``untrained:NAME?seed=N``."""
    address = parse(source)
    name = address.path.removeprefix(UNTRAINED)
    address.check_options(("seed",), "an untrained pair")
    seed = address.options.get("seed", "0")
    if name not in PAIRS:
        raise ArgumentError(f"{source}: there is no pair {name!r}; {suggestion(name, sorted(PAIRS))}")
    if not (seed.isascii() and seed.isdecimal()):
        raise ArgumentError(f"{source}: seed must be a whole number, not {seed!r}.")
    return PAIRS[name], name, int(seed)


def _random(source: str, windows: ClipWindows, name: str | None, licence: str | None) -> Model:
    spec, pair_name, seed = _make_untrained(source)
    # The caller's generator goes on as if nothing had been drawn here.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pair = build_pair(spec, published=False)
    calibrate(pair, spec, windows, seed)
    weights_origin = WeightsOrigin(
        name or f"avfeat-{pair_name}-untrained",
        licence or "MIT",
        False,
        f"untrained: random weights; BatchNorm statistics from {len(windows)} windows of {windows.source}",
        f"{UNTRAINED}{pair_name}, seed {seed}",
        revision(),
    )
    return Model(pair.eval(), spec, weights_origin)


def calibrate(pair: EncoderPair, spec: PairSpec, windows: ClipWindows, seed: int = 0) -> None:
    """Set the BatchNorm statistics, so that features have unit scale and different clips different vectors."""
    log_mel = log_mel_of(spec)
    frames, waveform = torch.from_numpy(windows.frames), torch.from_numpy(windows.waveform)
    calibrate_batch_norm(pair.video, (part.permute(0, 1, 4, 2, 3).float() / 255 for part in _batches(frames, seed)))
    calibrate_batch_norm(pair.audio, (log_mel(part) for part in _batches(waveform, seed)))


def _batches(rows: Tensor, seed: int) -> Iterator[Tensor]:
    """Large batches in a random order: their statistics stand for those of the whole."""
    order = random.Random(seed).sample(range(len(rows)), len(rows))
    for at in range(0, max(1, len(rows) - 1), _BATCH):
        yield rows[order[at : at + _BATCH]]
