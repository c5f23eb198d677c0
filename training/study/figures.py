"""The figures of a study: drawn from what is there, blank where nothing is."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avfeat.extras import extra_packages
from avfeat.training.study.plan import AXES, Family, Kind, StudyTable
from avfeat.training.study.statistics import Estimate, estimate
from avfeat.training.study.summary import Summary, SummaryRow
from avfeat.training.study.verdicts import family_means
from avfeat.writers.atomic import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = "figures"
COLOURS: dict[Family, str] = {
    "sampling-based": "#0072B2",
    "lossy coherent": "#D55E00",
    "incoherent": "#009E73",
    "lossy spatial": "#666666",
    "lossy spectral": "#E69F00",
    "mixed": "#CC79A7",
}
"""Okabe and Ito's palette, which colour-blind readers tell apart."""
_SERIES = ("#D55E00", "#009E73", "#0072B2", "#CC79A7", "#666666")
_GAIN = "gain in points of accuracy, audio + video"


def draw_figures(out: Path, summary: Summary) -> list[str]:
    """Draw each table, as ``figures/NAME.png``; gives the names of the files.

    Raises:
        BackendError: matplotlib is not installed.
    """
    with extra_packages("eval"):
        import matplotlib  # noqa: F401
    drawn = []
    for table in summary.grid.plan.tables:
        rows = summary.table(table.name)
        for suffix, draw in _DRAWN[table.kind]:
            name = f"{table.name}{suffix}.png"
            figure = draw(table, rows, summary)
            if figure is not None:
                _save(figure, out / FOLDER / name)
                drawn.append(name)
    return drawn


def drawn(out: Path) -> list[str]:
    """Names of the figures that were drawn before."""
    return sorted(path.name for path in (out / FOLDER).glob("*.png"))


def of_table(name: str) -> list[str]:
    """Names that a table's figures may have."""
    return [f"{name}{suffix}.png" for suffix in ("-families", "-matrix", "")]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    # A figure of its own, without pyplot: nothing global is touched, and no display is needed.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110, metadata={"Software": None})
    with atomic(path) as file:
        file.write(drawn.getvalue())


def matrix(table: StudyTable, rows: Sequence[SummaryRow], summary: Summary) -> Figure | None:
    """Gains of pairs as a matrix, singles on its diagonal."""
    names = list(table.pairs)
    if len(names) < 2:
        return None
    values = _gains_of_pairs(names, rows)
    figure, axes = _figure(1.8 + 0.75 * len(names), 1.2 + 0.6 * len(names))
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    image = axes.imshow(values, cmap="PuOr_r", vmin=-largest or -1, vmax=largest or 1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.spines[:].set_visible(False)
    for (down, across), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.7 * largest else "black"
            axes.text(across, down, f"{value:+.1f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_title(f"gain over {summary.baseline.name} in points; alone on the diagonal", fontsize=9, loc="left")
    figure.colorbar(image, shrink=0.7)
    return figure


def _gains_of_pairs(names: list[str], rows: Sequence[SummaryRow]) -> NDArray[np.float64]:
    """``(names, names)``, in points; NaN where nothing was measured."""
    values = np.full((len(names), len(names)), np.nan)
    for row in rows:
        gain, pieces = row.mean_gain(), row.place.cell.pieces
        if gain is not None and pieces and set(pieces) <= set(names):
            first, last = names.index(pieces[0]), names.index(pieces[-1])
            values[first, last] = values[last, first] = 100 * gain.mean
    return values


def forest(table: StudyTable, rows: Sequence[SummaryRow], summary: Summary) -> Figure | None:
    """Gain of every single augmentation with its interval, by family, and the mean of each family."""
    single = [row for row in rows if len(row.place.cell.pieces) < 2 and not row.is_baseline]
    if not single:
        return None
    means = {family: estimate(list(values.values())) for family, values in family_means(summary).items()}
    lines: list[tuple[str, Estimate | None, str, bool]] = []
    for family in dict.fromkeys(row.place.family for row in single):
        colour = COLOURS[family]
        lines += [(row.name, row.mean_gain(), colour, False) for row in single if row.place.family == family]
        lines.append((f"{family}: mean", means.get(family), colour, True))
    figure, axes = _figure(7, 1.0 + 0.26 * len(lines))
    for place, (_, found, colour, whole) in enumerate(lines):
        _point(axes, found, -place, colour, "D" if whole else "o")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks([-place for place in range(len(lines))], [name for name, *_ in lines], fontsize=8)
    for label, (_, _, colour, whole) in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_color(colour)
        label.set_fontweight("bold" if whole else "normal")
    axes.set_xlabel(f"{_GAIN}; 95 % interval", fontsize=8)
    axes.set_title(f"each augmentation alone, against {summary.baseline.name}", fontsize=9, loc="left")
    return figure


def _point(axes: Axes, found: Estimate | None, height: float, colour: str, marker: str) -> None:
    """A mean and its interval, with the number of seeds where that is not enough for one."""
    if found is None:
        return
    if found.low is not None and found.high is not None:
        axes.plot([100 * found.low, 100 * found.high], [height, height], color=colour, linewidth=1.5)
    hollow = "white" if found.low is None else colour
    axes.plot(100 * found.mean, height, marker, color=colour, markerfacecolor=hollow, markersize=6)
    if found.n < 3:
        axes.annotate(f"n = {found.n}", (100 * found.mean, height), (6, 3), textcoords="offset points", fontsize=7)


def strengths(table: StudyTable, rows: Sequence[SummaryRow], summary: Summary) -> Figure | None:
    """Accuracy over the strength, a line a series."""
    return _curves(table, rows, lambda row: row.mean(), "accuracy in percent, audio + video")


def gains(table: StudyTable, rows: Sequence[SummaryRow], summary: Summary) -> Figure | None:
    """The gain over the table's axis."""
    return _curves(table, [row for row in rows if row.place.cell.against], lambda row: row.mean_gain(), _GAIN)


def _curves(
    table: StudyTable, rows: Sequence[SummaryRow], value: Callable[[SummaryRow], Estimate | None], label: str
) -> Figure | None:
    if not rows:
        return None
    figure, axes = _figure(6, 3.6)
    for number, series in enumerate(dict.fromkeys(row.place.cell.series for row in rows)):
        known = [(row.place.cell.x, value(row)) for row in rows if row.place.cell.series == series]
        _curve(axes, [(x or 0.0, one) for x, one in known if one is not None], series, _SERIES[number % 5])
    if label == _GAIN:
        axes.axhline(0, color="black", linewidth=0.8)
    _axis(axes, sorted({row.place.cell.x or 0.0 for row in rows}), table.kind != "intensity")
    axes.set_xlabel(AXES[table.kind], fontsize=8)
    axes.set_ylabel(label, fontsize=8)
    axes.set_title(f"{table.description or table.name}; 95 % intervals", fontsize=9, loc="left", wrap=True)
    return figure


def _axis(axes: Axes, places: Sequence[float], doubling: bool) -> None:
    """All places, also those where nothing was measured, and room for a name at the end."""
    first, last = places[0], places[-1]
    if doubling:
        axes.set_xscale("log", base=2)
        axes.set_xlim(first / (last / first) ** 0.1, last * (last / first) ** 0.4)
    else:
        axes.set_xlim(first - 0.1 * (last - first), last + 0.4 * (last - first))
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.minorticks_off()


def _curve(axes: Axes, known: Sequence[tuple[float, Estimate]], name: str, colour: str) -> None:
    if not known:
        return
    axes.plot([x for x, _ in known], [100 * one.mean for _, one in known], "o-", color=colour, linewidth=1.5)
    for x, one in known:
        if one.low is not None and one.high is not None:
            axes.plot([x, x], [100 * one.low, 100 * one.high], color=colour, linewidth=1.2, alpha=0.6)
        if one.n < 3:
            axes.annotate(f"n = {one.n}", (x, 100 * one.mean), (4, -10), textcoords="offset points", fontsize=7)
    x, last = known[-1]
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "va": "center"}
    axes.annotate(name, (x, 100 * last.mean), (7, 0), color=colour, **text)


def bars(table: StudyTable, rows: Sequence[SummaryRow], summary: Summary) -> Figure | None:
    """Accuracy of each cell beside that of the cell that it is against."""
    compared = [row for row in rows if row.place.cell.against is not None]
    if not compared:
        return None
    by_name = {row.name: row for row in rows}
    figure, axes = _figure(2.6 + 1.1 * len(compared), 3.8)
    for place, row in enumerate(compared):
        other = by_name[row.against]
        _bar(axes, place - 0.19, other.mean(), "#999999")
        _bar(axes, place + 0.19, row.mean(), COLOURS["lossy coherent"])
        _gain_above(axes, place, row)
    axes.set_xticks(range(len(compared)), [_bar_name(row) for row in compared], fontsize=8)
    axes.set_xlim(-0.6, len(compared) - 0.4)
    axes.set_ylabel("accuracy in percent, audio + video", fontsize=8)
    axes.set_title("orange, against grey; above: the gain", fontsize=9, loc="left")
    return figure


def _bar_name(row: SummaryRow) -> str:
    return f"{row.name},\nagainst\n{row.against.removeprefix(f'{row.name}, ')}"


def _bar(axes: Axes, place: float, found: Estimate | None, colour: str) -> None:
    if found is None:
        return
    axes.bar(place, 100 * found.mean, 0.36, color=colour)
    if found.low is not None and found.high is not None:
        axes.plot([place, place], [100 * found.low, 100 * found.high], color="black", linewidth=1.2)


def _gain_above(axes: Axes, place: float, row: SummaryRow) -> None:
    gain, own = row.mean_gain(), row.mean()
    if gain is None or own is None:
        return
    count = f"\nn = {gain.n}" if gain.n < 3 else ""
    top = 100 * max(own.high or own.mean, own.mean - gain.mean)
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "ha": "center"}
    axes.annotate(f"{100 * gain.mean:+.1f}{count}", (place, top), (0, 4), **text)


Draw = Callable[[StudyTable, Sequence[SummaryRow], Summary], Any]
_DRAWN: dict[Kind, tuple[tuple[str, Draw], ...]] = {
    "composition": (("-matrix", matrix), ("-families", forest)),
    "intensity": (("", strengths),),
    "resolution": (("", gains),),
    "length": (("", gains),),
    "frameworks": (("", bars),),
    "sync": (("", bars),),
}
