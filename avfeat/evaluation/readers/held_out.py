"""What chooses C where a data set has no validation list."""

from __future__ import annotations

from collections.abc import Sequence

from avfeat.evaluation.dataset import LabelledItem

_EVERY = 5
"""Of the groups of a train list without a validation list, one in so many chooses C."""


def held_out(items: Sequence[LabelledItem], train: Sequence[int]) -> tuple[int, ...]:
    """The part of ``train`` that chooses C where a data set has no validation list: every fifth group.

    Whole groups, in alphabetical order, beginning with the first, so that what chooses C is not the twin of
    what was fitted.
    """
    groups = sorted({items[position].group for position in train})
    chosen = set(groups[::_EVERY])
    return tuple(position for position in train if items[position].group in chosen)
