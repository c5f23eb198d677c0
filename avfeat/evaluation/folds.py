"""Folds for cross-validation: whole groups are dealt out, so that no group stands on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from avfeat.evaluation.dataset import Fold, LabelledItem

FOLDS = 5


def group_folds(items: Sequence[LabelledItem], count: int = FOLDS, *, stratified: bool = True) -> tuple[Fold, ...]:
    """Folds of whole groups; C is chosen on the fold that is tested next, and then all but the test is fitted.

    Groups are dealt out by size, the largest first, each to the fold that is smallest yet.

    Args:
        items: what is dealt out.
        count: of folds, three or more: one is tested, one chooses C, the rest is fitted.
        stratified: a group goes where its own class (its commonest) is rarest, and of equals where it is smallest,
            so that the groups of a class lie in as many folds as can be.
    """
    places: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item.group, []).append(place)
    parts: list[list[int]] = [[] for _ in range(count)]
    classes = [Counter[str]() for _ in range(count)]
    for group in sorted(places, key=lambda name: (-len(places[name]), name)):
        labels = Counter(items[place].label for place in places[group])
        own = max(sorted(labels), key=lambda label: labels[label])
        chosen = min(range(count), key=lambda fold: (classes[fold][own] if stratified else 0, len(parts[fold])))
        parts[chosen] += places[group]
        classes[chosen] += labels
    folds = []
    for number in range(count):
        test, val = parts[number], parts[(number + 1) % count]
        train = [place for other in range(count) if other != number for place in parts[other]]
        fold = Fold(f"fold {number + 1}", tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)), refit=True)
        folds.append(fold)
    return tuple(folds)
