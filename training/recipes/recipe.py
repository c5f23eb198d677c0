"""What a training is made of: one typed schema, read from YAML, nothing unknown and nothing guessed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from avfeat.errors import ArgumentError
from avfeat.training.augment import Composition
from avfeat.training.augment.compose import values_of
from avfeat.training.data import CacheSettings, Needs, Sampling
from avfeat.training.networks import PairSpec
from avfeat.training.networks.registry import networks_of
from avfeat.training.objectives import Pairs, objective_type
from avfeat.training.objectives.distillation import DistillationSettings
from avfeat.training.objectives.settings import HeadSettings
from avfeat.training.objectives.shared import SharedSettings
from avfeat.training.schema import build

_REFERENCE_BATCH = 256
"""Learning rates are published for it."""


def _need(right: bool, name: str, what: str, value: object) -> None:
    if not right:
        raise ArgumentError(f"{name} must be {what}, not {value!r}.")


def _need_window(right: bool, name: str, given: object, wanted: object) -> None:
    if not right:
        raise ArgumentError(
            f"augment.sampling.{name} is {given}, but the encoders take {wanted}; set encoders.seconds and "
            "encoders.fps, and leave it out of the sampling."
        )


@dataclass(frozen=True)
class ObjectiveChoice:
    """Which objective, and which pairs of views it compares.

    Attributes:
        name: in ``avfeat.training.objectives.OBJECTIVES``.
        settings: of any objective by name, as far as they differ from its own; those of the chosen one count.
        pairs: weights of the kinds of pairs.
    """

    name: str = "simclr"
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    pairs: Pairs = field(default_factory=Pairs)

    def __post_init__(self) -> None:
        for name in (self.name, *self.settings):
            self.built(name)

    def built(self, name: str) -> HeadSettings:
        """The settings of an objective.

        Raises:
            ArgumentError: there is no such objective, or it cannot have them.
        """
        settings: HeadSettings = build(objective_type(name).settings_type, self.settings.get(name, {}), name)
        return settings


@dataclass(frozen=True)
class OptimizerSettings:
    """How weights are moved.

    Attributes:
        name: ``adamw`` (Loshchilov and Hutter, arXiv 1711.05101), ``sgd``, or ``lars`` (You et al., arXiv
            1708.03888).
        lr: learning rate at its peak.
        scaling: ``none``: the rate is as it stands; ``linear`` or ``sqrt``: it is that of a batch of 256, times
            ``batch_size / 256`` or the root of it.
        weight_decay: of weights; biases and norms have none.
        momentum: of SGD and LARS; AdamW's first beta.
        trust_coefficient: LARS' trust coefficient.
        max_grad_norm: longest gradient, by its norm; None for no limit.
        warmup: part of the steps in which the rate grows linearly.
        min_lr_ratio: rate at the end of the cosine, as a part of the peak.
    """

    name: Literal["adamw", "sgd", "lars"] = "adamw"
    lr: float = 1e-3
    scaling: Literal["none", "linear", "sqrt"] = "none"
    weight_decay: float = 0.01
    momentum: float = 0.9
    trust_coefficient: float = 0.001
    max_grad_norm: float | None = None
    warmup: float = 0.1
    min_lr_ratio: float = 0.0

    def __post_init__(self) -> None:
        _need(0 < self.lr < math.inf, "lr", "above 0", self.lr)
        _need(0 <= self.weight_decay < math.inf, "weight_decay", "from 0 on", self.weight_decay)
        _need(0 <= self.momentum < 1, "momentum", "from 0 to below 1", self.momentum)
        _need(0 < self.trust_coefficient < math.inf, "trust_coefficient", "above 0", self.trust_coefficient)
        _need(
            self.max_grad_norm is None or 0 < self.max_grad_norm < math.inf,
            "max_grad_norm",
            "above 0, or null",
            self.max_grad_norm,
        )
        _need(0 <= self.warmup <= 1, "warmup", "from 0 to 1", self.warmup)
        _need(0 <= self.min_lr_ratio <= 1, "min_lr_ratio", "from 0 to 1", self.min_lr_ratio)

    def peak(self, batch_size: int) -> float:
        """The highest learning rate, for a batch of that many clips."""
        share = batch_size / _REFERENCE_BATCH
        return self.lr * {"none": 1.0, "linear": share, "sqrt": math.sqrt(share)}[self.scaling]


@dataclass(frozen=True)
class ProbeSettings:
    """The nearest-neighbour accuracy that is measured on labelled clips while training goes on.

    Attributes:
        every: steps between two; the end is always one; 0 for none at all.
        clips: how many labelled clips, at most.
        windows: of each clip, evenly spaced, averaged.
        neighbours: that vote.
    """

    every: int = 500
    clips: int = 1000
    windows: int = 4
    neighbours: int = 5

    def __post_init__(self) -> None:
        _need(self.every >= 0, "every", "a number of steps, or 0", self.every)
        for name in ("clips", "windows", "neighbours"):
            _need(getattr(self, name) >= 1, name, "from 1 on", getattr(self, name))


@dataclass(frozen=True)
class Recipe:
    """A whole training.

    Attributes:
        encoders: the networks, and what a window is for them: the views' length, frames and size.
        objective: what is minimised.
        shared: what trains the space that picture and sound share.
        distillation: trained networks to learn from, too; None for none.
        augment: how views are sampled and augmented.
        freeze: parts of the encoders' backbones that stay as they begin, statistics too: ``video`` or ``audio``
            for all of one, ``video.still`` for a module of it.
        optimizer: how weights are moved.
        probe: what is measured on the way.
        steps: of the optimizer.
        batch_size: clips of a step, of all processes and passes together.
        grad_accumulation_steps: passes of a step; contrasts are within a pass.
        required_streams: which clips take part: ``both`` for those with picture and sound, or ``any``.
        seed: of all randomness.
        precision: ``fp32``, ``bf16`` (autocast), or ``auto``: bf16 on a GPU that has it, fp32 elsewhere.
        compile: whether the backbones are compiled (a minute or two at the start).
        workers: processes that load clips; None for 1 without a GPU and up to 8 with one.
        log_every: steps between two lines of metrics.
        checkpoint_every: steps between two checkpoints.
        description: one line for people.
    """

    encoders: PairSpec
    objective: ObjectiveChoice = field(default_factory=ObjectiveChoice)
    shared: SharedSettings = field(default_factory=SharedSettings)
    distillation: DistillationSettings | None = None
    augment: Composition = field(default_factory=Composition)
    freeze: tuple[str, ...] = ()
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    steps: int = 1000
    batch_size: int = 64
    grad_accumulation_steps: int = 1
    required_streams: Needs = "any"
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    workers: int | None = None
    log_every: int = 10
    checkpoint_every: int = 200
    description: str = ""

    def __post_init__(self) -> None:
        for name in ("steps", "grad_accumulation_steps", "log_every", "checkpoint_every"):
            _need(getattr(self, name) >= 1, name, "from 1 on", getattr(self, name))
        _need(
            self.batch_size >= 2 * self.grad_accumulation_steps,
            "batch_size",
            "2 clips a pass or more",
            self.batch_size,
        )
        _need(
            self.batch_size % self.grad_accumulation_steps == 0,
            "batch_size",
            "divisible by grad_accumulation_steps",
            self.batch_size,
        )
        _need(0 <= self.seed < 2**63, "seed", "from 0 to 2 ** 63 - 1", self.seed)
        _need(self.workers is None or self.workers >= 0, "workers", "from 0 on, or null", self.workers)
        networks_of(self.encoders)
        self._check_views()

    def _check_views(self) -> None:
        own, default = self.augment.sampling, Sampling()
        for name, wanted in (("seconds", self.encoders.seconds), ("frames", self.encoders.frames)):
            given = getattr(own, name)
            _need_window(given in (wanted, getattr(default, name)), name, given, wanted)

    @property
    def sampling(self) -> Sampling:
        """How views are sampled: the composition's way, in the encoders' length."""
        spec = self.encoders
        return replace(self.augment.effective_sampling(), seconds=spec.seconds, frames=spec.frames)

    @property
    def cache(self) -> CacheSettings:
        """What a cache for this training holds."""
        spec = self.encoders
        return CacheSettings(fps=spec.fps, size=spec.size, sample_rate=spec.sample_rate, aspect=spec.aspect)

    def to_values(self) -> dict[str, Any]:
        """All settings as JSON values, the composition in full."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "augment"}
        values = {name: asdict(one) if hasattr(one, "__dataclass_fields__") else one for name, one in plain.items()}
        whole = {name: values[name] for name in ("description", "encoders") if name in values} | values
        # As JSON has it: lists, not tuples, so that what is read back is equal.
        as_json: dict[str, Any] = json.loads(json.dumps(whole | {"augment": values_of(self.augment)}))
        if self.distillation is None:
            # So that a training without a teacher is called what it was called before there were any.
            del as_json["distillation"]
        else:
            as_json["distillation"] = self.distillation.to_values(as_json["distillation"])
        if not self.freeze:
            del as_json["freeze"]
        for name in ("seconds", "frames"):
            # The encoders say them.
            del as_json["augment"]["sampling"][name]
        return as_json

    @classmethod
    def from_values(cls, values: Mapping[str, Any], where: str = "recipe") -> Recipe:
        """From JSON values.

        Raises:
            ArgumentError: unknown names, missing ones, or values that no training can have.
        """
        recipe = build(cls, values, where)
        augment = values.get("augment")
        sampling = augment.get("sampling") if isinstance(augment, Mapping) else None
        for name, wanted in (("seconds", recipe.encoders.seconds), ("frames", recipe.encoders.frames)):
            # The default, too, where it was asked for.
            given = (sampling or {}).get(name, wanted)
            _need_window(given == wanted, name, given, wanted)
        return recipe
