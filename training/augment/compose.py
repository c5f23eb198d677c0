"""Compositions: augmentations in order, with one strength over all, read from YAML.

.. code-block:: yaml

    strength: 0.8                 # scales the strength of every augmentation, and the ranges of the sampling
    sampling: {spacing: decreasing, jitter: 0.3}
    augmentations:
      - resized_crop: {scale: [0.3, 1.0]}
      - time_mask: {p: 0.5, fraction: 0.5, fill: mean}
      - fade
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, field, replace
from typing import Annotated, Any

from pydantic import BeforeValidator

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.augment.augmentation import Augmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.registry import AUGMENTATIONS, name_of
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.data.sampling import Sampling
from avfeat.training.schema import Share, build, read_yaml, settings
from avfeat.training.shipped import Shipped

_SHIPPED = Shipped("composition", "avfeat.training.augment", "compositions")
_MAY_BE_NOTHING = ("sampling", "augmentations")


def _one(entry: Any) -> Any:
    """``name``, or ``name: {setting: value}``."""
    if isinstance(entry, Augmentation):
        return entry
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ArgumentError(f"must be one name, or name: settings, not {entry!r}.")
    [(name, values)] = entry.items()
    if name not in AUGMENTATIONS:
        raise ArgumentError(f"there is no augmentation {name!r}; {suggestion(str(name), AUGMENTATIONS)}")
    # Nothing behind a colon is None in YAML, and stands for the defaults.
    return build(AUGMENTATIONS[name], {} if values is None else values, str(name))


@settings
class Composition:
    """Augmentations of views.

    Attributes:
        augmentations: in the order in which they are applied.
        sampling: how views are sampled in time, the first augmentation of all.
        strength: in [0, 1]: scales the strengths of all, and the ranges of the sampling.
    """

    augmentations: tuple[Annotated[Augmentation, BeforeValidator(_one)], ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    strength: Share = 1.0

    def __call__(self, clips: Clips, rng: SampleRNG) -> Clips:
        """Apply all of them; each has its own random numbers, whatever stands before it.

        Args:
            clips: a batch of views, on any device.
            rng: random numbers of its samples, on the same device.
        """
        for augmentation, own in self.steps(rng):
            clips = augmentation(clips, own)
        return clips

    def steps(self, rng: SampleRNG) -> Iterator[tuple[Augmentation, SampleRNG]]:
        """Each augmentation with its own random numbers, which depend on its place and its name."""
        for number, augmentation in enumerate(self.effective()):
            yield augmentation, rng.fork(f"{number} {name_of(augmentation)}")

    def effective(self) -> tuple[Augmentation, ...]:
        """The augmentations at the strength that they have in this composition."""
        return tuple(replace(one, strength=one.strength * self.strength) for one in self.augmentations)

    def effective_sampling(self) -> Sampling:
        """The sampling at this strength: its jitter, offset and range of speeds shrink to nothing at 0."""
        chosen = self.sampling
        offset = chosen.max_offset * self.strength
        return replace(
            chosen,
            jitter=chosen.jitter * self.strength,
            speed=(chosen.speed[0] ** self.strength, chosen.speed[1] ** self.strength),
            max_offset=offset,
            timeline="offset" if offset else "shared",
        )


def composition(values: Any, where: str = "augment") -> Composition:
    """A composition from YAML values (see the module).

    Raises:
        ArgumentError: unknown names (the nearest known one is suggested), or values out of range.
    """
    return build(Composition, without_nothing(values), where)


def without_nothing(values: Any) -> Any:
    """The values without lists and settings behind whose colon nothing stands: None in YAML, for the defaults."""
    if not isinstance(values, Mapping):
        return values
    return {name: one for name, one in values.items() if one is not None or name not in _MAY_BE_NOTHING}


def list_compositions() -> tuple[str, ...]:
    """Names of the compositions that come with avfeat."""
    return tuple(_SHIPPED.names())


def read_composition(name: str) -> Any:
    """The values of a shipped composition by name, or of a YAML file.

    Raises:
        ArgumentError: neither, or a file that is no YAML.
    """
    return read_yaml(_SHIPPED.path(name))


def load_composition(name: str) -> Composition:
    """A shipped composition by name, or one from a YAML file.

    Raises:
        ArgumentError: neither, or a file that is no composition.
    """
    return composition(read_composition(name), name)


def values_of(chosen: Composition) -> dict[str, Any]:
    """A composition as YAML values, every setting of it: ``composition`` makes an equal one of them."""
    return {
        "strength": chosen.strength,
        "sampling": asdict(chosen.sampling),
        "augmentations": [{name_of(one): asdict(one)} for one in chosen.augmentations],
    }
