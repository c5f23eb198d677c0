"""The page of the augmentations names every registered one, in its family and with its cost."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest

from avfeat.training.augment import AUGMENTATIONS, Family, list_compositions

PAGE = (Path(__file__).parents[3] / "docs" / "augmentations.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table of a section."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("| \n").split("|")] for line in section.splitlines() if "|" in line
    ][2:]


def names(cells: Iterable[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("family", get_args(Family))
def test_a_family_lists_its_augmentations(family: str) -> None:
    listed = [row[1] for row in rows("The families") if row[0] == family]
    known = {name for name, kind in AUGMENTATIONS.items() if kind.family == family}
    assert known - set(names(listed)) == set(), "not on the page"
    assert sorted(names(listed)) == sorted(known)


def test_each_has_a_cost() -> None:
    costs = rows("Cost")
    listed = names(row[0] for row in costs if "composition" not in row[0])
    assert set(AUGMENTATIONS) - set(listed) == set(), "not on the page"
    assert sorted(listed) == sorted(AUGMENTATIONS)
    assert {row[0] for row in costs if "composition" in row[0]} == {
        f"composition `{name}`" for name in list_compositions()
    }
    assert all(float(row[1]) > 0 and float(row[2]) > 0 for row in costs)
