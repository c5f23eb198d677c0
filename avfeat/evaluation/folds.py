"""Folds for cross-validation: whole groups are dealt out, so that no group stands on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from avfeat.evaluation.dataset import Fold, LabelledItem

FOLDS = 5


def group_folds(items: Sequence[LabelledItem], count: int = FOLDS, *, by_class: bool = True) -> tuple[Fold, ...]:
    """Folds of whole groups, of which each is tested once, by what is fitted on the others.

    Groups are dealt out by size, the largest first, each to the fold that is smallest yet.

    Args:
        items: what is dealt out.
        count: of folds, three or more.
        by_class: a group goes where its own class (its commonest) is rarest, and of equals where it is smallest, so
            that the groups of a class lie in as many folds as can be; and C is chosen by all folds but the tested
            one, each in turn. Else by the one that is tested next: with few groups, that one may lack classes.
    """
    places: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item.group, []).append(place)
    parts: list[list[int]] = [[] for _ in range(count)]
    classes = [Counter[str]() for _ in range(count)]
    for group in sorted(places, key=lambda name: (-len(places[name]), name)):
        labels = Counter(items[place].label for place in places[group])
        own = max(sorted(labels), key=lambda label: labels[label])
        chosen = min(range(count), key=lambda fold: (classes[fold][own] if by_class else 0, len(parts[fold])))
        parts[chosen] += places[group]
        classes[chosen] += labels
    return tuple(_fold(parts, number, by_class) for number in range(count))


def _fold(parts: Sequence[Sequence[int]], number: int, by_class: bool) -> Fold:
    test, val = parts[number], () if by_class else parts[(number + 1) % len(parts)]
    others = tuple(tuple(sorted(part)) for other, part in enumerate(parts) if other != number)
    return Fold(
        name=f"fold {number + 1}",
        train=tuple(sorted(place for part in others for place in part)),
        val=tuple(sorted(val)),
        test=tuple(sorted(test)),
        refit=True,
        parts=others if by_class else (),
    )
