"""From a plan to runs: which trainings there are, what each is called, and in which order they are done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.recipes import Recipe
from avfeat.training.recipes.merge import merged
from avfeat.training.renamed import with_new_names, with_old_names
from avfeat.training.study.load import Loaded
from avfeat.training.study.plan import Cell, Family, Kind, StudyPlan

OWN = "baseline and reference"
"""The table of the two cells that are not in one of the plan's."""
_FREE = ("description", "workers", "log_every", "checkpoint_every", "probe", "compile", "seed")
"""Settings of a recipe that do not change what is learned, and the seed, which stands beside it."""


@dataclass(frozen=True)
class TableCell:
    """A cell in its table.

    Attributes:
        table: name of the table.
        kind: of the table; None for the plan's baseline and reference.
        cell: as the plan has it.
        family: what it belongs to.
        recipe: resolved, of seed 0.
        identity: hash of all that its result depends on but the seed: equal cells are trained once.
        against: identity of the cell that its gain is measured from.
        seeds: how many.
    """

    table: str
    kind: Kind | None
    cell: Cell
    family: Family
    recipe: Recipe
    identity: str
    against: str
    seeds: int


@dataclass(frozen=True)
class Run:
    """One training and its probe.

    Attributes:
        key: names its folder: the hash of its resolved recipe, data and probe, and the seed.
        recipe: resolved, with the seed.
        cells: table and cell of every place that it counts for.
    """

    key: str
    recipe: Recipe
    cells: tuple[tuple[str, str], ...]

    @property
    def seed(self) -> int:
        """Of all its randomness."""
        return self.recipe.seed


@dataclass(frozen=True)
class StudyGrid:
    """All cells of a study and the runs that they need.

    Attributes:
        plan: whose.
        places: the baseline, the reference, then the tables' cells.
        runs: in order: a cell's seeds together.
    """

    plan: StudyPlan
    places: tuple[TableCell, ...]
    runs: tuple[Run, ...]


def lay_out(loaded: Loaded, data: str, *, only: Iterable[str] = (), seeds: int | None = None) -> StudyGrid:
    """Resolve every cell, and put the runs in order.

    Args:
        loaded: the plan and its base recipe.
        data: identity of the data.
        only: names of tables whose cells, and what those are measured from, are run; none for all of them.
        seeds: of every cell, instead of the plan's.

    Raises:
        ArgumentError: no such table, or a cell with a recipe that no training can have.
    """
    places = tuple(_places(loaded, data, seeds))
    chosen = _choose(places, loaded.plan, list(only))
    return StudyGrid(loaded.plan, places, tuple(_runs(chosen, places)))


def key_of(identity: str, seed: int) -> str:
    """Name of the run of a cell's seed."""
    return f"{identity}-{seed}"


def _places(loaded: Loaded, data: str, seeds: int | None) -> Iterator[TableCell]:
    plan = loaded.plan
    resolve = _Resolver(loaded, data, seeds)
    base = resolve(OWN, None, plan.baseline, None)
    yield base
    yield resolve(OWN, None, plan.reference, base.identity)
    for table in plan.tables:
        found = {cell.name: resolve(table.name, table.kind, cell, base.identity) for cell in table.all_cells()}
        for cell in table.all_cells():
            other = base.identity if cell.against is None else found[cell.against].identity
            yield replace(found[cell.name], against=other)


@dataclass(frozen=True)
class _Resolver:
    """Makes places of cells."""

    loaded: Loaded
    data: str
    seeds: int | None

    def __call__(self, table: str, kind: Kind | None, cell: Cell, against: str | None) -> TableCell:
        plan = self.loaded.plan
        try:
            recipe = Recipe.from_values(self._values(cell), "recipe")
        except ArgumentError as error:
            raise ArgumentError(f"{self.loaded.where}: {table}: {cell.name}: {error}") from error
        if recipe.distillation is not None:
            raise ArgumentError(
                f"{self.loaded.where}: {table}: {cell.name}: has a teacher, whose weights no result of a study "
                "names; leave distillation out."
            )
        identity = identity_of(recipe, self.data, plan.windows)
        count = self.seeds or cell.seeds or plan.seeds
        return TableCell(table, kind, cell, plan.family(cell), recipe, identity, against or identity, count)

    def _values(self, cell: Cell) -> Any:
        plan = self.loaded.plan
        values: Any = merged(self.loaded.base, {"seed": 0, "probe": {"every": 0}})
        pieces = [plan.augmentations[name] for name in plan.ordered(cell)]
        for piece in pieces:
            values = merged(values, {"augment": {"sampling": piece.sampling}})
        added = [entry for piece in pieces for entry in _add(piece.add, cell.strength)]
        listed = [*values["augment"]["augmentations"], *added]
        settings = with_new_names(cell.settings, cell.name)
        return merged(merged(values, {"augment": {"augmentations": listed}}), settings)


def _add(add: Mapping[str, Mapping[str, Any]], strength: float) -> list[dict[str, Any]]:
    """Augmentations at this strength; at 0 they change nothing, and are left out."""
    if not strength:
        return []
    return [
        {name: {**settings, "strength": strength * settings.get("strength", 1.0)}} for name, settings in add.items()
    ]


def identity_of(recipe: Recipe, data: str, windows: int) -> str:
    """64 bits of BLAKE2b over everything that a result depends on but its seed and its machine, in hex."""
    values = {name: value for name, value in with_old_names(recipe.to_values()).items() if name not in _FREE}
    text = json.dumps([values, data, windows], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _choose(places: tuple[TableCell, ...], plan: StudyPlan, only: list[str]) -> list[TableCell]:
    """What is run, in order: what gains are measured from comes before the tables."""
    known = [table.name for table in plan.tables]
    for name in only:
        if name not in known:
            raise ArgumentError(f"--only {name}: the plan has no such table; {suggestion(name, known)}")
    if not only:
        return list(places)
    asked = [place for place in places if place.table in only]
    needed = {place.against for place in asked}
    return [place for place in places if place.table == OWN and place.identity in needed] + asked


def _runs(chosen: list[TableCell], places: tuple[TableCell, ...]) -> Iterator[Run]:
    """Each run once, where it is first needed; equal cells have the seeds of the one with the most."""
    counts: dict[str, int] = {}
    for place in chosen:
        counts[place.identity] = max(counts.get(place.identity, 0), place.seeds)
    recipes = {place.identity: place.recipe for place in reversed(chosen)}
    for identity, count in counts.items():
        cells = tuple((place.table, place.cell.name) for place in places if place.identity == identity)
        for seed in range(count):
            yield Run(key_of(identity, seed), replace(recipes[identity], seed=seed), cells)


def shard(runs: tuple[Run, ...], part: tuple[int, int]) -> tuple[Run, ...]:
    """Every n-th run from the i-th on."""
    index, count = part
    return runs[index::count]
