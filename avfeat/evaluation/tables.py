"""Results as tables for people: headers and rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avfeat.evaluation import classification, neighbours
from avfeat.evaluation.features import MODALITIES
from avfeat.evaluation.neighbours import RANKS, RETRIEVAL
from avfeat.evaluation.probing import Score
from avfeat.evaluation.readers.ave import Ave, Split
from avfeat.evaluation.report import per_class
from avfeat.evaluation.zero_shot import ZeroShot

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
_HEADS = {"video": "video", "audio": "audio", "av": "audio + video"}
_NONE = "-"


def classification_table(result: classification.ClassificationResult) -> Table:
    """Accuracy and 95 % interval of the model, of baselines, of the majority class and of chance."""
    rows = [
        (
            entry.name,
            *(_score(entry.scores.get(kind)) for kind in MODALITIES),
        )
        for entry in result.entries
    ]
    rows += [("majority class", *[percent(result.majority)] * 3), ("chance", *[percent(result.chance)] * 3)]
    return ("accuracy, %", *(_HEADS[kind] for kind in MODALITIES)), rows


def class_table(result: classification.ClassificationResult) -> Table:
    """Accuracy of the model on each class."""
    rows = [
        (name, str(values["count"]), *(percent(values[kind]) if kind in values else _NONE for kind in MODALITIES))
        for name, values in per_class(result, result.entries[0]).items()
    ]
    return ("class", "test rows", *(_HEADS[kind] for kind in MODALITIES)), rows


def knn_table(result: neighbours.NeighbourResult) -> Table:
    """Top-1 accuracy and 95 % interval, with the majority class and chance."""
    rows = [(entry.name, *(_knn(entry.measures.get(kind)) for kind in MODALITIES)) for entry in result.entries]
    chance = [result.entries[0].measures.get(kind) for kind in MODALITIES]
    rows.append(("majority class", *[percent(result.majority)] * 3))
    rows.append(("chance", *(percent(_only(found).chance) if found else _NONE for found in chance)))
    return ("top-1, %", *(_HEADS[kind] for kind in MODALITIES)), rows


def retrieval_table(result: neighbours.NeighbourResult, tasks: Sequence[str] = RETRIEVAL) -> Table:
    """Recall and 95 % interval of each task at each rank, with chance."""
    rows = []
    for task in tasks:
        able = [(entry.name, entry.measures[task]) for entry in result.entries if entry.measures.get(task)]
        for name, found in able:
            rows.append((task, name, *(_format_measure(found[rank]) for rank in RANKS), str(_only(found).queries)))
        if able:
            rows.append((task, "chance", *(percent(able[0][1][rank].chance) for rank in RANKS), ""))
    return ("recall, %", "model", *(f"R@{rank}" for rank in RANKS), "queries"), rows


def zero_shot_line(found: ZeroShot) -> str:
    """Zero-shot accuracy and 95 % interval of each modality, and chance."""
    said = [f"{name} {with_interval(value, found.interval[name])}" for name, value in found.accuracy.items()]
    return f"zero-shot, %, of {found.tested:,} files: {', '.join(said)}; chance {percent(found.chance)}"


def ave_lines(result: classification.ClassificationResult, ave: Ave, split: Split) -> list[str]:
    """What a result on AVE is of: protocol, splits, and on how many rows it stands."""
    splits = [f"{name} {_parts(ave.counts(name))}" for name in ("dedupe", "official")]
    left_out = len(ave.annotations) - result.annotated
    reasons = [f"{left_out} left out by the split"] if left_out else []
    reasons += (
        [f"{result.annotated - result.used:,} without an embedding"] if result.annotated > result.used else []
    )
    return [
        f"AVE, {result.protocol} protocol, split {split}; rows for train / val / test: {'; '.join(splits)}",
        f"evaluated on {result.used:,} of {len(ave.annotations):,} annotated rows ({_parts(result.counts)})"
        + (f": {', '.join(reasons)}" if reasons else ""),
    ]


def lines(result: classification.ClassificationResult) -> list[str]:
    """What a result is of, and on how many rows it stands."""
    folds = next(iter(result.entries[0].scores.values())).folds
    over = f", mean over {len(folds)} splits" if len(folds) > 1 else ""
    return [
        f"{result.dataset}, linear probe{over}",
        f"evaluated on {result.used:,} of {result.annotated:,} listed files ({_parts(result.counts)})",
    ]


def neighbours_lines(result: neighbours.NeighbourResult) -> list[str]:
    """What a search is of, and on how many files it stands."""
    apart = result.asked < result.used
    return [
        f"{result.dataset}, {result.protocol}: {result.classes} classes, {result.groups:,} groups; "
        "neighbours are of other groups",
        f"evaluated on {result.used:,} of {result.annotated:,} labelled files"
        + (f": {result.asked:,} test queries, {result.used - result.asked:,} train neighbours" if apart else ""),
    ]


def percent(share: float) -> str:
    """A share as a percentage, without its sign."""
    return f"{100 * share:.1f}"


def _score(score: Score | None) -> str:
    return _NONE if score is None else with_interval(score.accuracy, score.interval)


def with_interval(value: float, interval: tuple[float, float]) -> str:
    """A share and its interval as percentages, without their sign."""
    return f"{percent(value)} ({percent(interval[0])} to {percent(interval[1])})"


def _only(measures: Mapping[int, Any]) -> Any:
    return next(iter(measures.values()))


def _knn(measures: Mapping[int, neighbours.Measure] | None) -> str:
    if measures is None:
        return _NONE
    return _format_measure(_only(measures))


def _format_measure(found: neighbours.Measure) -> str:
    return with_interval(found.value, found.interval)


def _parts(counts: Mapping[str, int]) -> str:
    return " / ".join(f"{counts[part]:,}" for part in ("train", "val", "test"))
