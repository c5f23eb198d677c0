"""The plan of a study: one typed schema, read from YAML, nothing unknown and nothing guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training import augment
from avfeat.training.renamed import new_family
from avfeat.training.schema import Count, Share, settings

Family = Literal["sampling-based", augment.Family, "mixed"]
"""Those of augmentations, the loader's, and ``mixed``: a pair out of two. ``lossy spatial`` ones are a control."""
Kind = Literal["composition", "intensity", "resolution", "length", "frameworks", "sync"]
AXES: dict[str, str] = {"intensity": "strength", "resolution": "frames a second", "length": "seconds"}
"""Kinds of tables whose cells stand on an axis, and what it is called."""


def _need(right: bool, sentence: str) -> None:
    if not right:
        raise ArgumentError(sentence)


@settings
class Piece:
    """A temporal augmentation with a name, to make cells of.

    Attributes:
        family: of augmentations, that its gain counts for.
        add: augmentations that follow those of the base recipe, by name, with their settings.
        sampling: settings of the recipe's sampling.
    """

    family: Annotated[Family, BeforeValidator(new_family)]
    add: dict[str, dict[str, Any]] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _need(bool(self.add) != bool(self.sampling), "one of add and sampling must say what the augmentation does.")


@settings
class Cell:
    """One training of a table, in several seeds.

    Attributes:
        name: of the cell, once in its table.
        pieces: names of the augmentations that it adds to the base recipe; those of the plan.
        strength: of what the pieces add; 0 leaves it out.
        settings: of the recipe, in nested mappings; lists are entered by number.
        family: what it belongs to; None for that of its pieces, ``sampling-based`` without.
        x: its place on the table's axis.
        series: of cells that belong together on the axis.
        against: name of the cell of this table that its gain is measured from; None for the plan's baseline.
        seeds: how many; None for the plan's number.
    """

    name: str
    pieces: tuple[str, ...] = ()
    strength: Share = 1.0
    settings: dict[str, Any] = field(default_factory=dict)
    family: Annotated[Family | None, BeforeValidator(new_family)] = None
    x: float | None = None
    series: str = ""
    against: str | None = None
    seeds: Count | None = None

    def __post_init__(self) -> None:
        _need(bool(self.name.strip()), "name must not be empty.")
        _need(len(set(self.pieces)) == len(self.pieces), f"{self.name}: a piece occurs twice.")


@settings
class StudyTable:
    """Cells that answer one question.

    Attributes:
        name: of the table.
        kind: how it is read and drawn.
        cells: as listed.
        singles: pieces that are cells of their own (``composition`` only).
        pairs: pieces every two of which are a cell, too (``composition`` only).
        description: one sentence for people.
    """

    name: str
    kind: Kind
    cells: tuple[Cell, ...] = ()
    singles: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        # It names the files of its figures.
        safe = bool(re.fullmatch(r"[a-z0-9][a-z0-9_-]*", self.name))
        _need(safe, f"{self.name!r}: a table's name is made of a-z, 0-9, - and _.")
        generated = bool(self.singles or self.pairs)
        _need(self.kind == "composition" or not generated, f"{self.name}: only composition has singles and pairs.")
        names = [cell.name for cell in self.all_cells()]
        twice = next((name for name in names if names.count(name) > 1), None)
        _need(twice is None, f"{self.name}: the cell {twice!r} occurs twice.")
        _need(bool(names), f"{self.name}: has no cells.")
        for cell in self.cells:
            against = cell.against
            known = against is None or against in names
            _need(known, f"{self.name}: {cell.name} is against {against!r}; {suggestion(str(against), names)}")
            least = 0.0 if self.kind == "intensity" else 1e-3
            there = self.kind not in AXES or (cell.x is not None and cell.x >= least)
            _need(there, f"{self.name}: {cell.name} needs its x, the {AXES.get(self.kind)}.")

    def all_cells(self) -> Iterator[Cell]:
        """Those that are listed, each single, and every pair."""
        yield from self.cells
        for name in self.singles:
            yield Cell(name, (name,))
        for pair in combinations(self.pairs, 2):
            yield Cell(" + ".join(pair), pair)


@settings
class StudyPlan:
    """A whole study.

    Attributes:
        recipe: that all cells change: a recipe's name, or settings, which may begin with ``extends``.
        baseline: what gains are measured from; trained first.
        reference: the composition that stands for the paper's; trained next.
        tables: the others, in the order in which they are run.
        augmentations: what cells are made of.
        data: an AVE root or a synthetic dataset, without a split.
        seeds: of a cell that does not say otherwise.
        steps: of every training; None for those of the recipe.
        windows: of each clip, evenly spaced, that the probe takes the mean of.
        description: one line for people.
    """

    recipe: str | dict[str, Any]
    baseline: Cell
    reference: Cell
    tables: tuple[StudyTable, ...]
    augmentations: dict[str, Piece] = field(default_factory=dict)
    data: str = "synthetic:ave?videos=1400&seed=0"
    seeds: Count = 3
    steps: int | None = None
    windows: Count = 5
    description: str = ""

    def __post_init__(self) -> None:
        _need(bool(self.tables), "tables must name one at least.")
        names = [table.name for table in self.tables]
        twice = next((name for name in names if names.count(name) > 1), None)
        _need(twice is None, f"the table {twice!r} occurs twice.")
        for cell in self._cells():
            for name in cell.pieces:
                known = name in self.augmentations
                _need(known, f"There is no augmentation {name!r}; {suggestion(name, self.augmentations)}")
            scaled = cell.strength == 1 or not any(self.augmentations[name].sampling for name in cell.pieces)
            _need(scaled, f"{cell.name}: strength scales what is added, and one of the pieces is a sampling.")

    def _cells(self) -> Iterator[Cell]:
        yield from (self.baseline, self.reference)
        for table in self.tables:
            yield from table.all_cells()

    def ordered(self, cell: Cell) -> list[str]:
        """The pieces of a cell in the plan's order, in which they are applied: a pair has no first."""
        return [name for name in self.augmentations if name in cell.pieces]

    def family(self, cell: Cell) -> Family:
        """What a cell belongs to."""
        if cell.family is not None:
            return cell.family
        found = {self.augmentations[name].family for name in cell.pieces} or {"sampling-based"}
        return found.pop() if len(found) == 1 else "mixed"
