"""What a training begins with where that is a trained pair: the bundle that ships, another one, a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from torch import Tensor

from avfeat.bundle import MANIFEST, Bundle, Modality, default_bundle
from avfeat.training.checkpoint import Checkpoint, CheckpointError
from avfeat.training.networks import EncoderPair, ModalityEncoder, PairSpec
from avfeat.training.networks.folded import load_folded, unfold
from avfeat.training.networks.spec import DEFAULT, trained_start

Batches = Callable[[Modality], Iterable[Tensor]]


def begin(pair: EncoderPair, spec: PairSpec, batches: Batches) -> dict[str, str]:
    """Give ``pair`` the weights of the trained pairs that ``spec.init`` names; others stay as they are.

    Args:
        pair: in place.
        spec: which.
        batches: what a modality's network takes, of the data that will be trained on: bundles have no BatchNorm
            statistics of their own any more.

    Returns:
        What each modality began with, for the provenance: a name, and the bundle's sha256 or the run's step.

    Raises:
        BundleError: no such bundle, or a broken one.
        CheckpointError: a run that is missing, broken, or of other networks.
        WeightsError: a bundle of other networks or of another precision.
    """
    facts: dict[str, str] = {}
    for modality, start in spec.starts.items():
        if not trained_start(start):
            continue
        encoder: ModalityEncoder = getattr(pair, modality)
        path = default_bundle() if start == DEFAULT else Path(start).expanduser()
        if (path / MANIFEST).is_file():
            bundle = Bundle.open(path)
            load_folded(encoder, bundle, modality)
            unfold(encoder, batches(modality))
            facts[modality] = f"{start} (bundle {bundle.name}, sha256 {bundle.sha256})"
        else:
            found = Checkpoint.load(path)
            _take(encoder, found, modality, start)
            facts[modality] = f"{start} (step {found.step})"
        encoder.train()
    return facts


def _take(encoder: ModalityEncoder, found: Checkpoint, modality: Modality, start: str) -> None:
    prefix = f"{modality}."
    own = {name.removeprefix(prefix): value for name, value in found.encoders.items() if name.startswith(prefix)}
    try:
        encoder.load_state_dict(own)
    except RuntimeError as error:
        theirs = getattr(found.spec, modality)
        raise CheckpointError(
            f"encoders.init={start}: its {modality} network is {theirs}, with other weights than these; "
            f"take it: --set encoders.{modality}={theirs}."
        ) from error
