from __future__ import annotations

from pathlib import Path

import pytest
from small_studies import TABLES, Value, failure_of, grid_of, made_up, summary_of

from avfeat.training.study.grid import TableCell
from avfeat.training.study.statistics import Estimate
from avfeat.training.study.summary import Summary, summarise
from avfeat.training.study.verdicts import Verdict, family_means, verdicts, word

WOBBLE = (0.0, 0.004, -0.004)
FAMILY, RESOLUTION, INTENSITY, FRAMEWORKS, GAIN, SYNC = range(6)


def steady(value: dict[str, float], table: str | None = None, otherwise: float = 0.4) -> Value:
    """Accuracies by the name of a cell, those of a table alone; all seeds nearly alike."""

    def found(place: TableCell, seed: int) -> float | None:
        if table is not None and place.table != table:
            return None
        return value.get(place.cell.name, otherwise) + WOBBLE[seed] * (1 + len(place.cell.pieces))

    return found


def noisy(place: TableCell, seed: int) -> float:
    """Nothing but noise, larger than anything."""
    return 0.4 + (0.2, -0.25, 0.1)[(seed + len(place.cell.name)) % 3] * (1 + len(place.cell.name) % 3)


def verdict(summary: Summary, which: int) -> Verdict:
    return verdicts(summary)[which]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, "open"),
        (Estimate(1, 0.5), "open"),
        (Estimate(2, 0.5, 0.1, 0.9), "open"),
        (Estimate(3, 0.5, 0.1, 0.9), "confirmed"),
        (Estimate(3, 0.5, 0.0, 1.0), "open"),
        (Estimate(3, 0.5, -0.1, 1.1), "open"),
        (Estimate(3, -0.5, -0.9, -0.1), "refuted"),
    ],
)
def test_a_word_is_an_interval_of_three_seeds_or_more(found: Estimate | None, expected: str) -> None:
    assert word(found) == expected


def cells(**gains: float) -> dict[str, float]:
    """Accuracies of composition's singles over a baseline of 0.4."""
    return {"sampling-only": 0.4} | {name: 0.4 + gain for name, gain in gains.items()}


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ({"fade": 0.1, "time_mask": 0.12, "speed": 0.02, "frame_shuffle": -0.05}, "confirmed"),
        ({"fade": 0.1, "time_mask": 0.12, "speed": 0.02, "frame_shuffle": 0.3}, "refuted"),
        ({"fade": -0.1, "time_mask": 0.0, "speed": 0.1, "frame_shuffle": -0.2}, "refuted"),
        ({"fade": 0.1, "time_mask": 0.1, "speed": 0.1, "frame_shuffle": 0.0}, "open"),
    ],
)
def test_the_lossy_family_against_each_other_one(tmp_path: Path, gains: dict[str, float], expected: str) -> None:
    summary = summary_of(tmp_path, steady(cells(**gains)))
    found = verdict(summary, FAMILY)
    assert found.word == expected and found.paper
    means = family_means(summary)
    lossy = (gains["fade"] + gains["time_mask"]) / 2
    assert means["lossy coherent"][0] == pytest.approx(lossy)
    for family, name in (("sampling-based", "speed"), ("incoherent", "frame_shuffle")):
        assert f"ahead of {family} by {100 * (lossy - gains[name]):+.1f} points" in found.numbers


def test_a_family_that_is_not_there_leaves_it_open_but_can_refute(tmp_path: Path) -> None:
    def without(place: TableCell, seed: int) -> float | None:
        return None if "frame_shuffle" in place.cell.pieces else steady(gains)(place, seed)

    gains = cells(fade=0.1, time_mask=0.12, speed=0.02)
    assert verdict(summary_of(tmp_path, without), FAMILY).word == "open"
    gains = cells(fade=0.1, time_mask=0.12, speed=0.3)
    assert verdict(summary_of(tmp_path, without), FAMILY).word == "refuted"


def curve(table: str, gains: tuple[float, float, float]) -> Value:
    """Cells at 2, 4, 8 with these gains, others blank."""
    named = {f"{x:g}": 0.4 + gain for x, gain in zip((2, 4, 8), gains, strict=True)}
    return steady(named, table)


@pytest.mark.parametrize(
    ("gains", "expected", "slope"),
    [
        ((0.0, 0.05, 0.1), "confirmed", "+5.0 points (+"),
        ((0.1, 0.05, 0.0), "refuted", "-5.0 points (-"),
        ((0.05, 0.05, 0.05), "open", "+0.0 points"),
    ],
)
def test_resolution_is_a_slope_a_doubling(
    tmp_path: Path, gains: tuple[float, float, float], expected: str, slope: str
) -> None:
    def uneven(place: TableCell, seed: int) -> float | None:
        # Seeds differ, or the interval would be a point.
        known = curve("resolution", gains)(place, seed)
        x = place.cell.x or 0
        return None if known is None else known + (WOBBLE[seed] * x if place.cell.against else 0)

    found = verdict(summary_of(tmp_path, uneven), RESOLUTION)
    assert found.word == expected
    if expected != "open":
        assert found.numbers.startswith(f"gain a doubling of the frames a second: {slope}"), found.numbers
    assert found.numbers.endswith("of the clip's length: not measured")


def test_a_curve_with_a_hole_is_open(tmp_path: Path) -> None:
    def hole(place: TableCell, seed: int) -> float | None:
        return None if place.cell.name == "4" else curve("resolution", (0.0, 0.05, 0.1))(place, seed)

    assert verdict(summary_of(tmp_path, hole), RESOLUTION).word == "open"


@pytest.mark.parametrize(("slope", "expected"), [(0.1, "confirmed"), (-0.1, "refuted"), (0.0, "open")])
def test_intensity_is_the_slope_of_the_lossy_series(tmp_path: Path, slope: float, expected: str) -> None:
    def value(place: TableCell, seed: int) -> float | None:
        if place.table != "intensity" or place.cell.x is None:
            return None
        grows = slope if place.cell.series == "fade" else 0.2
        return 0.4 + place.cell.x * (grows + WOBBLE[seed])

    found = verdict(summary_of(tmp_path, value), INTENSITY)
    assert found.word == expected and "; control frame_shuffle: +20.0 points" in found.numbers


@pytest.mark.parametrize(
    ("vicreg", "expected", "count"), [(0.5, "confirmed", 2), (0.3, "refuted", 1), (0.4, "open", 1)]
)
def test_frameworks_are_counted(tmp_path: Path, vicreg: float, expected: str, count: int) -> None:
    found = verdict(summary_of(tmp_path, steady({"simclr": 0.5, "vicreg": vicreg}, "frameworks")), FRAMEWORKS)
    assert found.word == expected and found.numbers.startswith(f"gain above 0 for {count} of 2: simclr +10.")


@pytest.mark.parametrize(("accuracy", "expected"), [(0.465, "confirmed"), (0.3, "refuted"), (0.4, "open")])
def test_the_gain_of_the_reference(tmp_path: Path, accuracy: float, expected: str) -> None:
    found = verdict(summary_of(tmp_path, steady({"fade + time_mask": accuracy, "speed": 0.45})), GAIN)
    assert found.word == expected
    assert "the paper: about 6.5 % on AVE; over the best sampling-based one (speed): " in found.numbers
    if expected == "confirmed":
        assert found.numbers.startswith("fade + time_mask over sampling-only: +6.5 points (")


@pytest.mark.parametrize(("apart", "expected"), [(0.3, "confirmed"), (0.5, "refuted")])
def test_sync_is_our_own_question(tmp_path: Path, apart: float, expected: str) -> None:
    def value(place: TableCell, seed: int) -> float | None:
        # "shared" is the single fade, too.
        known = {"independent": apart + WOBBLE[seed], "shared": 0.4, "fade": 0.4}
        return known.get(place.cell.name)

    found = verdict(summary_of(tmp_path, value), SYNC)
    assert found.word == expected and not found.paper and found.numbers.startswith("shared over independent: ")


def test_noise_and_nothing_leave_all_open(tmp_path: Path) -> None:
    assert {one.word for one in verdicts(summary_of(tmp_path, noisy))} == {"open"}
    assert {one.word for one in verdicts(summary_of(tmp_path, lambda place, seed: None))} == {"open"}
    two = steady(cells(fade=0.1, time_mask=0.12, speed=0.02, frame_shuffle=0.0))
    assert {one.word for one in verdicts(summary_of(tmp_path, two, seeds=2))} == {"open"}


def test_a_failed_seed_is_counted_and_has_no_number(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, tables=TABLES)
    outcomes = made_up(grid, steady(cells(fade=0.1)))
    lost = next(run for run in grid.runs if ("composition", "fade") in run.cells)
    outcomes[lost.key] = failure_of(lost, 0)
    rows = {row.name: row for row in summarise(grid, outcomes).table("composition")}
    assert rows["fade"].failed == (0,) and sorted(rows["fade"].gain["av"]) == [1, 2]
    assert sorted(family_means(summarise(grid, outcomes))["lossy coherent"]) == [1, 2]
    assert rows["speed"].failed == () and len(rows["speed"].gain["av"]) == 3
