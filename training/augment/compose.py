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
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.augment.augmentation import Augmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.registry import AUGMENTATIONS, name_of
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.data.sampling import Sampling
from avfeat.training.schema import build, read_yaml

_SHIPPED = files("avfeat.training.augment") / "compositions"


@dataclass(frozen=True)
class Composition:
    """Augmentations of views.

    Attributes:
        augmentations: in the order in which they are applied.
        sampling: how views are sampled in time, the first augmentation of all.
        strength: in [0, 1]: scales the strengths of all, and the ranges of the sampling.
    """

    augmentations: tuple[Augmentation, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ArgumentError(f"strength must be from 0 to 1, not {self.strength!r}.")

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

    @classmethod
    def from_values(cls, values: Any, where: str) -> Composition:
        """As ``composition``, for recipes that hold one."""
        return composition(values, where)

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
    if not isinstance(values, Mapping):
        raise ArgumentError(f"{where}: must be settings (name: value), not {values!r}.")
    known = ("strength", "sampling", "augmentations")
    for name in values:
        if name not in known:
            raise ArgumentError(f"{where}: there is no setting {name!r}; {suggestion(str(name), known)}")
    listed = _value_or_default(values.get("augmentations"), [])
    if not isinstance(listed, list):
        raise ArgumentError(f"{where}.augmentations: must be a list, not {listed!r}.")
    strength = values.get("strength", 1.0)
    if isinstance(strength, bool) or not isinstance(strength, int | float):
        raise ArgumentError(f"{where}.strength: must be a number from 0 to 1, not {strength!r}.")
    return Composition(
        tuple(_one(entry, f"{where}.augmentations[{number}]") for number, entry in enumerate(listed)),
        build(Sampling, _value_or_default(values.get("sampling"), {}), f"{where}.sampling"),
        float(strength),
    )


def _one(entry: Any, where: str) -> Augmentation:
    """``name``, or ``name: {setting: value}``."""
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ArgumentError(f"{where}: must be one name, or name: settings, not {entry!r}.")
    [(name, settings)] = entry.items()
    if name not in AUGMENTATIONS:
        raise ArgumentError(f"{where}: there is no augmentation {name!r}; {suggestion(str(name), AUGMENTATIONS)}")
    return build(AUGMENTATIONS[name], _value_or_default(settings, {}), f"{where}.{name}")


def _value_or_default(value: Any, default: Any) -> Any:
    """What was given; nothing behind a colon is None in YAML, and stands for the defaults."""
    return default if value is None else value


def list_compositions() -> tuple[str, ...]:
    """Names of the compositions that come with avfeat."""
    return tuple(sorted(Path(entry.name).stem for entry in _SHIPPED.iterdir() if entry.name.endswith(".yaml")))


def read_composition(name: str) -> Any:
    """The values of a shipped composition by name, or of a YAML file.

    Raises:
        ArgumentError: neither, or a file that is no YAML.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return read_yaml(path)
    if name not in list_compositions():
        raise ArgumentError(f"There is no composition {name!r}; {suggestion(name, list_compositions())}")
    return read_yaml(Path(str(_SHIPPED / f"{name}.yaml")))


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
