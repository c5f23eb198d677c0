from __future__ import annotations

from pathlib import Path

import pytest

from avfeat.evaluation import LabelledItem
from avfeat.evaluation.folds import group_folds


def items(groups: dict[str, str]) -> list[LabelledItem]:
    """Items by ``group: letters``, a letter the class of one."""
    return [
        LabelledItem(f"{group}{number}", Path(f"{group}{number}"), label, group)
        for group, labels in groups.items()
        for number, label in enumerate(labels)
    ]


UNEVEN = items(
    {"a": "xxxxxxxx", "b": "xxxx", "c": "xx", "d": "yy", "e": "yy", "f": "zy", "g": "z", "h": "z", "i": "y"}
)


@pytest.mark.parametrize("by_class", [False, True])
def test_groups_stay_whole_and_each_item_is_tested_once(by_class: bool) -> None:
    folds = group_folds(UNEVEN, 3, by_class=by_class)
    assert sorted(place for fold in folds for place in fold.test) == list(range(len(UNEVEN)))
    for number, fold in enumerate(folds):
        assert sorted((*fold.train, *fold.test)) == list(range(len(UNEVEN)))
        others = [folds[other].test for other in range(3) if other != number]
        assert fold.refit and (fold.val, list(fold.parts)) == (
            ((), others) if by_class else (folds[(number + 1) % 3].test, [])
        )
        assert {UNEVEN[place].group for place in fold.train}.isdisjoint(UNEVEN[place].group for place in fold.test)


def test_the_groups_of_a_class_lie_in_as_many_folds_as_can_be() -> None:
    folds = group_folds(UNEVEN, 3)
    for label in "xyz":
        assert all(any(UNEVEN[place].label == label for place in fold.test) for fold in folds), label


def test_without_classes_groups_go_by_size_alone() -> None:
    folds = group_folds(UNEVEN, 3, by_class=False)
    found = ["".join(sorted({UNEVEN[place].group for place in fold.test})) for fold in folds]
    assert found == ["a", "begi", "cdfh"]
