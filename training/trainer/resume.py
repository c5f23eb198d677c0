"""May a training go on from a checkpoint: is it the same training?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from avfeat.training.checkpoint import Checkpoint, CheckpointError
from avfeat.training.networks.spec import MODALITIES
from avfeat.training.recipes import Recipe
from avfeat.training.trainer.teacher import SETTING, Teacher, setting_of

_TEACHER = (SETTING, f"{SETTING}.video", f"{SETTING}.audio")
"""It may lie elsewhere now: what tells whether it is the same are its weights."""
_FREE = ("description", "workers", "log_every", "checkpoint_every", "probe", "compile")
"""Settings that do not change what is learned."""


def check_same(before: Checkpoint, recipe: Recipe, data: Mapping[str, Any], run: Path) -> None:
    """Refuse to go on with other settings or other data; only longer than before is allowed.

    Raises:
        CheckpointError: they differ; the message names the first difference.
    """
    for name, old, new in differences(before.recipe, recipe.to_values()):
        if name == "steps" and new > old:
            continue
        if name.partition(".")[0] not in _FREE and name not in _TEACHER:
            raise CheckpointError(
                f"{run}: was begun with {name} {old!r}, not {new!r}; go on with the same settings, or train into "
                "another folder."
            )
    if before.data["fingerprint"] != data["fingerprint"]:
        raise CheckpointError(
            f"{run}: was begun on other data ({before.data['clips']} clips of {before.data['source']}, now "
            f"{data['clips']} of {data['source']}); go on with the same, or train into another folder."
        )


def check_teacher(before: Checkpoint, teacher: Teacher | None) -> None:
    """Refuse to go on with a teacher of other weights.

    Raises:
        CheckpointError: they are others.
    """
    if teacher is None:
        return
    known, own = (_fingerprints(facts) for facts in (before.provenance.get("teacher") or {}, teacher.facts))
    for modality in MODALITIES:
        if own.get(modality) != known.get(modality):
            raise CheckpointError(
                f"{setting_of(teacher.source, modality)}: its weights are not those that the training was begun "
                "with; put them back, or train into another folder."
            )


def _fingerprints(facts: Mapping[str, Any]) -> dict[str, str | None]:
    """Of who teaches each modality; a run in one word teaches both."""
    each: Mapping[str, Any] = dict.fromkeys(MODALITIES, facts) if "fingerprint" in facts else facts
    return {name: one.get("fingerprint") for name, one in each.items()}


def same_probe(before: Checkpoint, recipe: Recipe) -> bool:
    """Whether the accuracy before training is known, and was measured as it will be measured now."""
    if before.training.get("random_init") is None:
        return False
    found = differences(before.recipe.get("probe"), recipe.to_values()["probe"])
    return all(name == "every" for name, _, _ in found)


def differences(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two trees of settings differ: dotted name, and both values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (*old, *(key for key in new if key not in old)):
            yield from differences(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{name}.{place}")
    elif old != new:
        yield name, old, new
