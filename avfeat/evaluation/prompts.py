"""Sentences that stand for classes: one template for all of them, or a file with some of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from avfeat.errors import ArgumentError
from avfeat.plain import read_plain

_MOST_BYTES = 2**24
_PLACE = "{}"


def read_prompts(given: str, classes: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """The sentences of each class.

    Args:
        given: a text with ``{}``, where the name of each class goes (its underscores become spaces); else the name
            of a file in UTF-8 with a line ``class<TAB>prompt`` for each sentence, one or more of each class.
        classes: of the data set. What the file has of others is passed over.

    Raises:
        ArgumentError: a class without a sentence, or a file that cannot be read so.
    """
    if _PLACE in given:
        return {name: (given.replace(_PLACE, name.replace("_", " ")),) for name in classes}
    found: dict[str, list[str]] = {}
    for number, line in enumerate(_lines(given), 1):
        if not line.strip():
            continue
        name, _, prompt = (part.strip() for part in line.partition("\t"))
        if not (name and prompt):
            raise ArgumentError(
                f"{given}: line {number} must be a class, a tab and a prompt, not {line.strip()!r}."
            )
        found.setdefault(name, []).append(prompt)
    missing = [name for name in classes if name not in found]
    if missing:
        raise ArgumentError(
            f"{given}: has no prompt for {len(missing)} of {len(classes)} classes: {missing[0]!r} first."
        )
    return {name: tuple(found[name]) for name in classes}


def _lines(given: str) -> list[str]:
    try:
        return read_plain(Path(given), _MOST_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ArgumentError(
            f"{given}: cannot be read ({why}); --prompts takes a text with {_PLACE} in it, such as "
            f"'a photo of {_PLACE}', or a file of classes, tabs and prompts."
        ) from error
