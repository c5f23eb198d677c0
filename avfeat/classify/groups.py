"""Whether a data set has groups enough to be cross-validated, and its folds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from avfeat.errors import DatasetError
from avfeat.evaluation.dataset import Dataset, LabelledItem
from avfeat.evaluation.folds import FOLDS, group_folds

_FEWEST, _FEWEST_FOLDS = 2, 3
_NAMED = 5


def with_folds(dataset: Dataset) -> Dataset:
    """The data set with folds of its groups, in place of splits that it may have.

    Raises:
        DatasetError: a single class, or too few groups.
    """
    groups = groups_by_class(dataset.items)
    if len(groups) < 2:
        raise DatasetError(
            f"{dataset.name}: has one class, {dataset.classes[0]!r}; add files of another, in a "
            "sub-folder or a row of its own label."
        )
    few = [name for name, found in groups.items() if len(found) < _FEWEST]
    if few:
        named = ", ".join(map(repr, few[:_NAMED])) + (f" and {len(few) - _NAMED} more" if few[_NAMED:] else "")
        raise DatasetError(
            f"{dataset.name}: all files of the class {named} are of one group, so that none can be tested "
            "on a group that was not fitted; add files of another source, or leave the class out."
        )
    count = min(FOLDS, len({item.group for item in dataset.items}))
    if count < _FEWEST_FOLDS:
        raise DatasetError(f"{dataset.name}: has {count} groups; add files of other sources: three are the fewest.")
    return replace(dataset, folds=group_folds(dataset.items, count))


def groups_by_class(items: Iterable[LabelledItem]) -> dict[str, set[str]]:
    """The groups of each class."""
    found: dict[str, set[str]] = defaultdict(set)
    for item in items:
        found[item.label].add(item.group)
    return dict(sorted(found.items()))
