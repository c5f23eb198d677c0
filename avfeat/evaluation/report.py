"""Results as JSON values with stable keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avfeat.bundle import Bundle
from avfeat.embedding import Failure
from avfeat.evaluation import classification, neighbours
from avfeat.evaluation.readers.ave import Ave, Split
from avfeat.evaluation.zero_shot import ZeroShot


def classification_json(result: classification.ClassificationResult, bundle: Bundle) -> dict[str, Any]:
    """A classification: what the model reached at the top, baselines beside it."""
    model, *baselines = result.entries
    return {
        "dataset": result.dataset,
        "protocol": result.protocol,
        **_scores(model),
        "counts": {**result.counts, "missing": len(result.missing), "damaged": len(result.damaged)},
        "rows": {"used": result.used, "annotated": result.annotated},
        "majority": result.majority,
        "chance": result.chance,
        "baselines": [{"name": entry.name, **_scores(entry)} for entry in baselines],
        "per_class": per_class(result, model),
        "confusion": {
            "classes": list(result.classes),
            **{kind: score.confusion.tolist() for kind, score in model.scores.items()},
        },
        **_files(result.missing, result.damaged),
        **_model(bundle),
        "seconds": dict(result.seconds),
    }


def ave_json(result: classification.ClassificationResult, ave: Ave, split: Split, bundle: Bundle) -> dict[str, Any]:
    """A classification of AVE: the split that it is of, the counts of both, and of all annotated rows."""
    values = classification_json(result, bundle)
    return {
        **values,
        "split": split,
        "splits": {name: ave.counts(name) for name in ("dedupe", "official")},
        "rows": {"used": result.used, "annotated": len(ave.annotations)},
    }


def neighbours_json(result: neighbours.NeighbourResult, bundle: Bundle) -> dict[str, Any]:
    """KNN accuracy or recall: what the model reached at the top, baselines beside it."""
    model, *baselines = result.entries
    read = _accuracy if result.protocol == "knn" else _recall
    return {
        "dataset": result.dataset,
        "protocol": result.protocol,
        **read(model),
        "counts": {
            "files": result.used,
            "asked": result.asked,
            "classes": result.classes,
            "groups": result.groups,
            "missing": len(result.missing),
            "damaged": len(result.damaged),
        },
        "rows": {"used": result.used, "annotated": result.annotated},
        "majority": result.majority,
        "baselines": [{"name": entry.name, **read(entry)} for entry in baselines],
        **_files(result.missing, result.damaged),
        **_model(bundle),
        "seconds": dict(result.seconds),
    }


def zero_shot_json(found: ZeroShot | None) -> dict[str, Any]:
    """What sentences alone reach, under the key ``zero_shot``, to be added to others; nothing for None."""
    if found is None:
        return {}
    values = {
        "accuracy": dict(found.accuracy),
        "interval": {name: list(interval) for name, interval in found.interval.items()},
        "chance": found.chance,
        "tested": found.tested,
        "prompts": {name: list(texts) for name, texts in found.prompts.items()},
    }
    return {"zero_shot": values}


def per_class(
    result: classification.ClassificationResult, entry: classification.ClassificationEntry
) -> dict[str, dict[str, float]]:
    """For each class that is tested: how many rows, and the share that each modality gets right."""
    found = {}
    for index, name in enumerate(result.classes):
        count = int(next(iter(entry.scores.values())).confusion[index].sum())
        if count:
            right = {kind: int(score.confusion[index, index]) / count for kind, score in entry.scores.items()}
            found[name] = {"count": count, **right}
    return found


def _scores(entry: classification.ClassificationEntry) -> dict[str, Any]:
    scores = entry.scores
    return {
        "accuracy": {kind: score.accuracy for kind, score in scores.items()},
        "interval": {kind: list(score.interval) for kind, score in scores.items()},
        **_by_fold(entry),
    }


def _by_fold(entry: classification.ClassificationEntry) -> dict[str, Any]:
    """The chosen C; with several folds, C and accuracy of each."""
    scores = entry.scores
    if len(next(iter(scores.values())).folds) == 1:
        return {"C": {kind: next(iter(score.c.values())) for kind, score in scores.items()}}
    return {
        "C": {kind: dict(score.c) for kind, score in scores.items()},
        "folds": {kind: dict(score.folds) for kind, score in scores.items()},
    }


def _accuracy(entry: neighbours.NeighbourEntry) -> dict[str, Any]:
    """Measures of kNN: one for each modality."""
    measures = {kind: next(iter(ranks.items())) for kind, ranks in entry.measures.items()}
    return {
        "accuracy": {kind: measure.value for kind, (_, measure) in measures.items()},
        "interval": {kind: list(measure.interval) for kind, (_, measure) in measures.items()},
        "chance": {kind: measure.chance for kind, (_, measure) in measures.items()},
        "queries": {kind: measure.queries for kind, (_, measure) in measures.items()},
        "neighbours": next((count for count, _ in measures.values()), None),
    }


def _recall(entry: neighbours.NeighbourEntry) -> dict[str, Any]:
    """Measures of retrieval: for each task, one a rank."""
    found: dict[str, Any] = {"recall": {}, "interval": {}, "chance": {}, "queries": {}}
    for task, ranks in entry.measures.items():
        key = task.replace(", ", "_").replace(" ", "_")
        found["recall"][key] = {str(rank): measure.value for rank, measure in ranks.items()}
        found["interval"][key] = {str(rank): list(measure.interval) for rank, measure in ranks.items()}
        found["chance"][key] = {str(rank): measure.chance for rank, measure in ranks.items()}
        found["queries"][key] = next(measure.queries for measure in ranks.values())
    return found


def _files(missing: Mapping[Path, Failure], damaged: Mapping[Path, str]) -> dict[str, Any]:
    return {
        "missing": [
            {"source": str(file), "reason": failure.reason, "message": failure.message}
            for file, failure in missing.items()
        ],
        "damaged": [{"source": str(file), "damage": damage} for file, damage in damaged.items()],
    }


def _model(bundle: Bundle) -> dict[str, Any]:
    return {"bundle": bundle.sha256, "name": bundle.name, "trained": bundle.trained}
