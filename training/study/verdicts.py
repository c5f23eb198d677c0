"""The paper's statements against our numbers: confirmed, refuted or open, by 95 % intervals.

The statements are those of the abstract of Al-Tahan and Mohsenzadeh, arXiv 2110.07082. The rules were fixed before
any result (``docs/study-plan.md``); all are about the accuracy of audio + video.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from avfeat.training.study.plan import Family
from avfeat.training.study.statistics import Estimate, average_cells, estimate, pair_seeds, slopes
from avfeat.training.study.summary import Summary, SummaryRow

Word = Literal["confirmed", "refuted", "open"]
SEEDS = 3
"""Fewer say nothing."""
PAPER_GAIN = 6.5
"""Points of accuracy that the abstract states, on AVE."""
_OTHERS: tuple[Family, ...] = ("sampling-based", "incoherent")
"""The temporal families beside the lossy coherent one; the lossy spatial control is none."""


@dataclass(frozen=True)
class Verdict:
    """What our numbers say of a statement.

    Attributes:
        statement: what is said.
        word: confirmed, refuted or open.
        numbers: what the word rests on, in points (hundredths of accuracy).
        paper: whether the paper says so; the last one is our own question.
    """

    statement: str
    word: Word
    numbers: str
    paper: bool = True


def verdicts(summary: Summary) -> tuple[Verdict, ...]:
    """All of them, in the order of the paper's abstract, and our own question last."""
    questions = (_family, _resolution, _intensity, _frameworks, _gain, _sync)
    return tuple(question(summary) for question in questions)


def word(found: Estimate | None) -> Word:
    """What an interval says of a quantity that should be above 0."""
    if found is None or found.n < SEEDS or found.low is None or found.high is None:
        return "open"
    return "confirmed" if found.low > 0 else "refuted" if found.high < 0 else "open"


def points(found: Estimate | None, unit: str = "points") -> str:
    """``+1.2 points (0.3 to 2.1, n = 3)``."""
    if found is None:
        return "not measured"
    interval = (
        "" if found.low is None or found.high is None else f"{100 * found.low:+.1f} to {100 * found.high:+.1f}, "
    )
    return f"{100 * found.mean:+.1f} {unit} ({interval}n = {found.n})"


def family_means(summary: Summary) -> dict[Family, Mapping[int, float]]:
    """Gain of each family: the mean over its single augmentations, for every seed that all of those have."""
    found: dict[Family, list[Mapping[int, float]]] = {}
    for row in summary.of_kind("composition"):
        if len(row.place.cell.pieces) == 1 and not row.is_baseline:
            found.setdefault(row.place.family, []).append(row.gain["av"])
    return {family: average_cells(cells) for family, cells in found.items()}


def _family(summary: Summary) -> Verdict:
    statement = (
        "Lossy spatiotemporal transformations that keep the temporal coherency are the most effective family."
    )
    means = family_means(summary)
    lossy = means.get("lossy coherent", {})
    others = {family: means[family] for family in _OTHERS if means.get(family)}
    if not lossy or not others:
        return Verdict(statement, "open", "the single augmentations of two families are not measured yet")
    # All families: the best one is not known before.
    ahead = {family: estimate(list(pair_seeds(lossy, other).values())) for family, other in others.items()}
    words = [word(one) for one in ahead.values()]
    complete = set(_OTHERS) <= set(others)
    said: Word = "open"
    if "refuted" in words:
        said = "refuted"
    elif complete and set(words) == {"confirmed"}:
        said = "confirmed"
    each = "; ".join(f"ahead of {family} by {points(one)}" for family, one in ahead.items())
    return Verdict(statement, said, f"mean gain of the family {points(estimate(list(lossy.values())))}; {each}")


def _resolution(summary: Summary) -> Verdict:
    statement = "The effect grows with the temporal resolution."
    found = _slope([row for row in summary.of_kind("resolution") if not row.is_baseline and row.place.cell.against])
    longer = _slope([row for row in summary.of_kind("length") if not row.is_baseline and row.place.cell.against])
    numbers = f"gain a doubling of the frames a second: {points(found)}; of the clip's length: {points(longer)}"
    return Verdict(statement, word(found), numbers)


def _slope(rows: Sequence[SummaryRow]) -> Estimate | None:
    """Of the gain over the logarithm to base 2 of ``x``, seed by seed; all cells must be there."""
    if any(not row.gain["av"] for row in rows):
        return None
    where = [(math.log2(row.place.cell.x or 1.0), row.gain["av"]) for row in rows]
    return estimate(list(slopes(where).values()))


def _intensity(summary: Summary) -> Verdict:
    statement = "The effect grows with the intensity of the transformation."
    series: dict[str, list[SummaryRow]] = {}
    for row in summary.of_kind("intensity"):
        series.setdefault(row.place.cell.series, []).append(row)
    lossy = [rows for rows in series.values() if rows[-1].place.family == "lossy coherent"]
    found = _growth(lossy[0]) if lossy else None
    controls = [f"; control {name}: {points(_growth(rows))}" for name, rows in series.items() if rows not in lossy]
    return Verdict(statement, word(found), f"from strength 0 to 1: {points(found)}{''.join(controls)}")


def _growth(rows: Sequence[SummaryRow]) -> Estimate | None:
    """The slope of the accuracy over the strength, seed by seed; all cells must be there."""
    if any(not row.accuracy["av"] for row in rows):
        return None
    return estimate(list(slopes([(row.place.cell.x or 0.0, row.accuracy["av"]) for row in rows]).values()))


def _frameworks(summary: Summary) -> Verdict:
    statement = "It works across self-supervised frameworks."
    rows = [row for row in summary.of_kind("frameworks") if row.place.cell.against is not None]
    words = [word(row.mean_gain()) for row in rows]
    said: Word = "open"
    if rows and set(words) == {"confirmed"}:
        said = "confirmed"
    elif "refuted" in words:
        said = "refuted"
    if not rows:
        return Verdict(statement, said, "not measured")
    each = "; ".join(f"{row.name} {points(row.mean_gain())}" for row in rows)
    return Verdict(statement, said, f"gain above 0 for {words.count('confirmed')} of {len(rows)}: {each}")


def _gain(summary: Summary) -> Verdict:
    statement = "The composition beats sampling-based temporal augmentation alone."
    reference = summary.reference
    found = reference.mean_gain()
    numbers = f"{reference.name} over {reference.against}: {points(found)}; the paper: about {PAPER_GAIN} % on AVE"
    sampling = [
        (mean.mean, row)
        for row in summary.of_kind("composition")
        if row.place.family == "sampling-based" and len(row.place.cell.pieces) == 1 and (mean := row.mean())
    ]
    if sampling:
        _, best = max(sampling, key=lambda one: one[0])
        ahead = estimate(list(pair_seeds(reference.accuracy["av"], best.accuracy["av"]).values()))
        numbers += f"; over the best sampling-based one ({best.name}): {points(ahead)}"
    return Verdict(statement, word(found), numbers)


def _sync(summary: Summary) -> Verdict:
    statement = "Video and audio should lose the same seconds."
    rows = [row for row in summary.of_kind("sync") if row.place.cell.against is not None]
    found = rows[0].mean_gain() if rows else None
    named = f"{rows[0].name} over {rows[0].against}: " if rows else ""
    return Verdict(statement, word(found), f"{named}{points(found)}", paper=False)
