"""What every objective is: heads for each modality, and a loss of two sides, summed over weighted pairs.

lightly's losses are the reference for the formulas, not the code: they cannot leave out samples without a stream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.objectives.embedded import Chosen, HeadOutput
from avfeat.training.objectives.gather import GatheredRows
from avfeat.training.objectives.momentum import MomentumCopy
from avfeat.training.objectives.pairs import Kind, Pairs, Side, terms
from avfeat.training.objectives.settings import HeadSettings

S = TypeVar("S", bound=HeadSettings)

Features = Mapping[Modality, Sequence[Tensor]]
"""Of each modality, for each view: ``(batch, dim)``."""


@dataclass(frozen=True, eq=False)
class Losses:
    """What a batch costs: this process' share, see ``gather``.

    Attributes:
        total: the weighted mean over all pairs, to be minimised.
        terms: the mean of each kind of pairs, detached; 0 where no sample counted.
        counts: samples of all processes that had both sides of the kind.
        projections: of each side, detached ``(batch, out)``, for ``health``; rows without the stream mean nothing.
    """

    total: Tensor
    terms: dict[Kind, Tensor]
    counts: dict[Kind, Tensor]
    projections: dict[Side, Tensor]


class Objective(nn.Module, ABC, Generic[S]):
    """An objective over pairs of views; subclasses give heads and the loss of one pair.

    Attributes:
        settings_type: the dataclass of its settings.
        momentum: whether targets come from a momentum encoder: then ``forward`` needs its features, and
            ``update_target`` is called whenever that encoder is updated.
        fixed_predictor_rate: whether the learning rate of ``predictors`` is published as not decaying.
        terms: the comparisons, see ``pairs``.
    """

    settings_type: ClassVar[type[HeadSettings]]
    momentum: ClassVar[bool] = False
    fixed_predictor_rate: ClassVar[bool] = False

    def __init__(
        self, settings: S, dims: Mapping[Modality, int], pairs: Pairs | None = None, views: int = 2
    ) -> None:
        """Build the heads of all modalities that some pair has.

        Args:
            settings: of this objective.
            dims: width of each modality's features.
            pairs: what is compared; None for the default weights.
            views: of each clip.

        Raises:
            ArgumentError: pairs that need more views.
        """
        super().__init__()
        self.settings = settings
        self.views = views
        self.terms = terms(pairs or Pairs(), views)
        sides = dict.fromkeys(side.modality for term in self.terms for side in (term.first, term.second))
        self.modalities: tuple[Modality, ...] = tuple(sides)
        self.projectors = nn.ModuleDict({name: self._projector(dims[name]) for name in self.modalities})
        self.predictors = nn.ModuleDict({name: self._predictor() for name in self.modalities})
        self.targets = MomentumCopy(self.projectors) if self.momentum else None

    @abstractmethod
    def _projector(self, features: int) -> nn.Module:
        """A fresh projector from ``features`` to ``settings.out``."""

    def _predictor(self) -> nn.Module:
        """A fresh predictor from and to ``settings.out``."""
        return nn.Identity()

    @abstractmethod
    def _loss(self, first: HeadOutput, second: HeadOutput, rows: GatheredRows) -> Tensor:
        """The loss of one pair of sides, in which both have the same part."""

    def forward(self, features: Features, target: Features | None, present: Mapping[Modality, Tensor]) -> Losses:
        """The loss of a batch.

        Args:
            features: from the encoders that are trained.
            target: from the momentum encoder; None for objectives without ``momentum``.
            present: bool ``(batch,)``, which samples have the modality. Others count in no pair that needs it. On
                the CPU, see ``Chosen``.

        Raises:
            ArgumentError: no ``target`` where one is needed, or not as many views as were promised.
        """
        self._check(features, target)
        sides: dict[Side, HeadOutput] = {}
        for name in self.modalities:
            sides |= self._embed(name, features, target, present[name])
        places = {term.kind: (term.first.modality, term.second.modality) for term in self.terms}
        device = next(iter(sides.values())).projection.device
        rows = {
            kind: GatheredRows.from_mask(present[one] & present[other], device)
            for kind, (one, other) in places.items()
        }
        each = [self.pair_loss(sides[term.first], sides[term.second], rows[term.kind]) for term in self.terms]
        return Losses(
            total=torch.stack([term.weight * loss for term, loss in zip(self.terms, each, strict=True)]).sum(),
            terms=self._by_kind([loss.detach() for loss in each]),
            counts={kind: counted.total for kind, counted in rows.items()},
            projections={side: embedded.projection.detach() for side, embedded in sides.items()},
        )

    def pair_loss(self, first: HeadOutput, second: HeadOutput, rows: GatheredRows) -> Tensor:
        """The loss of two sides over the samples of ``rows``: in float32 under any autocast, 0 without samples."""
        with torch.autocast(first.projection.device.type, enabled=False):
            loss = self._loss(first.ready(rows.here), second.ready(rows.here), rows)
        return torch.where(rows.total > 0, loss, 0)

    def update_target(self, momentum: float) -> None:
        """Move the momentum encoder's projectors; nothing for objectives without."""
        if self.targets is not None:
            self.targets.update(self.projectors, momentum)

    def _check(self, features: Features, target: Features | None) -> None:
        if self.momentum and target is None:
            raise ArgumentError(f"{type(self).__name__} needs the features of the momentum encoder as target.")
        for given in (features, target) if target is not None else (features,):
            for name in self.modalities:
                if len(given[name]) != self.views:
                    raise ArgumentError(f"There are {len(given[name])} views of {name}, not {self.views}.")

    def _by_kind(self, each: list[Tensor]) -> dict[Kind, Tensor]:
        kinds: dict[Kind, list[Tensor]] = {}
        for term, loss in zip(self.terms, each, strict=True):
            kinds.setdefault(term.kind, []).append(loss)
        return {kind: torch.stack(losses).mean() for kind, losses in kinds.items()}

    def _embed(
        self, name: Modality, features: Features, target: Features | None, present: Tensor
    ) -> dict[Side, HeadOutput]:
        """All views of a modality through its heads."""
        choose = Chosen(present)
        found = {}
        for view, one in enumerate(features[name]):
            projection = self.projectors[name](choose(one))
            prediction = self.predictors[name](projection)
            aim = projection.detach()
            if self.targets is not None and target is not None:
                with torch.no_grad():
                    aim = self.targets.module[name](choose(target[name][view]))
            found[Side(name, view)] = HeadOutput(*(choose.back(rows) for rows in (projection, prediction, aim)))
        return found
