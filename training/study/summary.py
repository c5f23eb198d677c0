"""What all finished runs say of each cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from avfeat.training.study.grid import StudyGrid, TableCell
from avfeat.training.study.measure import MODALITIES
from avfeat.training.study.plan import Kind
from avfeat.training.study.results import RunFailure, RunOutcome, RunResult
from avfeat.training.study.statistics import Estimate, estimate, pair_seeds

Seeds = Mapping[int, float]


@dataclass(frozen=True)
class SummaryRow:
    """A cell and what is known of it.

    Attributes:
        place: the cell in its table.
        accuracy: test accuracy of each finished seed, by modality.
        gain: that minus the accuracy of the same seed of the cell that it is against, by modality; empty for a
            cell against itself.
        failed: seeds whose run failed.
        against: name of the cell that gains are measured from.
    """

    place: TableCell
    accuracy: Mapping[str, Seeds]
    gain: Mapping[str, Seeds]
    failed: tuple[int, ...]
    against: str

    @property
    def name(self) -> str:
        """Of the cell."""
        return self.place.cell.name

    @property
    def is_baseline(self) -> bool:
        """Whether the cell is what its gain would be measured from."""
        return self.place.identity == self.place.against

    def mean(self, modality: str = "av") -> Estimate | None:
        """Mean accuracy over seeds; None while there is none."""
        return estimate(list(self.accuracy[modality].values()))

    def mean_gain(self, modality: str = "av") -> Estimate | None:
        """Mean gain over seeds, paired; None while there is none."""
        return estimate(list(self.gain[modality].values()))


@dataclass(frozen=True)
class Summary:
    """All cells of a study.

    Attributes:
        grid: the plan's cells and runs.
        rows: one a cell, in the order of the grid.
    """

    grid: StudyGrid
    rows: tuple[SummaryRow, ...]

    def table(self, name: str) -> list[SummaryRow]:
        """The rows of a table."""
        return [row for row in self.rows if row.place.table == name]

    def of_kind(self, kind: Kind) -> list[SummaryRow]:
        """The rows of all tables of a kind."""
        return [row for row in self.rows if row.place.kind == kind]

    @property
    def baseline(self) -> SummaryRow:
        """What gains are measured from."""
        return self.rows[0]

    @property
    def reference(self) -> SummaryRow:
        """The composition that stands for the paper's."""
        return self.rows[1]


def summarise(grid: StudyGrid, outcomes: Mapping[str, RunOutcome]) -> Summary:
    """Put results to their cells: every finished seed counts, however many the plan asks for."""
    finished: dict[str, dict[int, RunResult]] = {}
    failed: dict[str, list[int]] = {}
    for key, outcome in outcomes.items():
        identity = key.rpartition("-")[0]
        if isinstance(outcome, RunFailure):
            failed.setdefault(identity, []).append(outcome.seed)
        else:
            finished.setdefault(identity, {})[outcome.seed] = outcome
    accuracy = {identity: _accuracy(results) for identity, results in finished.items()}
    return Summary(grid, tuple(_rows(grid, accuracy, failed)))


def _accuracy(results: Mapping[int, RunResult]) -> dict[str, Seeds]:
    return {name: {seed: results[seed].accuracy[name] for seed in sorted(results)} for name in MODALITIES}


def _rows(
    grid: StudyGrid, accuracy: Mapping[str, Mapping[str, Seeds]], failed: Mapping[str, list[int]]
) -> Iterator[SummaryRow]:
    nothing: Mapping[str, Seeds] = {name: {} for name in MODALITIES}
    for place in grid.places:
        own = accuracy.get(place.identity, nothing)
        other = accuracy.get(place.against, nothing)
        itself = place.identity == place.against
        gain = nothing if itself else {name: pair_seeds(own[name], other[name]) for name in MODALITIES}
        against = place.cell.against or grid.plan.baseline.name
        yield SummaryRow(place, own, gain, tuple(sorted(failed.get(place.identity, ()))), against)
