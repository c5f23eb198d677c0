"""``avfeat classify``."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from avfeat import job, reading
from avfeat.classify.fit import check_output, fit_classifier
from avfeat.classify.model import Classifier, load_classifier
from avfeat.classify.prediction import Prediction
from avfeat.classify.report import FittedClassifier
from avfeat.cli.options import (
    CacheOption,
    ColumnOptions,
    DataArgument,
    DeviceOption,
    ModelOption,
    PictureOption,
    WorkersOption,
    with_options,
)
from avfeat.cli.printing import JsonOption, list_files, note, progress, table, write_json
from avfeat.embedding import Failure
from avfeat.encoder import load
from avfeat.evaluation import Store, report, tables
from avfeat.evaluation.picture import check_picture, draw_matrix

_NAMES = {"av": "audio + video"}

classify = typer.Typer(
    no_args_is_help=True, help="Fit a classifier on labelled files, and classify others with it."
)


@classify.callback()
def _classify() -> None:
    """Fit a classifier on labelled files, and classify others with it."""


@classify.command()
@with_options(ColumnOptions)
def fit(
    data: DataArgument,
    columns: ColumnOptions,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="MODEL", help="The file to write: model.onnx.")],
    model: ModelOption = None,
    baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="Colour histograms with MFCC statistics beside it.")
    ] = True,
    confusion: PictureOption = None,
    json: JsonOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    cache: CacheOption = None,
) -> None:
    """Fit a classifier on labelled files (extra eval), and say how good it is on groups that it was not fitted on.

    avfeat classify fit clips/ -o model.onnx                 a sub-folder for each class

    avfeat classify fit clips.csv --group source -o model.onnx --confusion c.png
    """
    check_output(out)
    if confusion is not None:
        check_picture(confusion)
    with load(model, device=device) as encoder:
        found = fit_classifier(
            data,
            out,
            columns=columns.named(),
            encoder=encoder,
            baselines=baselines,
            workers=workers,
            store=Store(cache),
            progress=progress,
        )
        name = encoder.bundle.name
        values = report.classification_json(found.measured, encoder.bundle)
    list_files(found.missing, found.measured.damaged)
    if confusion is not None:
        title = f"{found.measured.dataset}, folds of groups: {found.accuracy:.1%}"
        draw_matrix(found.labels, found.confusion, title, confusion)
    if json is not None:
        write_json(_fit_json(found, values), json)
    if json != "-":
        _show(found, name)
    if found.missing:
        raise typer.Exit(1)


def _fit_json(found: FittedClassifier, values: dict[str, object]) -> dict[str, object]:
    """The classifier's own figures, those of a modality at a time, of baselines, and the files that failed."""
    kept = ("dataset", "baselines", "missing", "damaged", "bundle", "name", "trained", "seconds")
    by = {key: values[key] for key in ("accuracy", "interval")}
    return {
        "model": str(found.path),
        **found.figures(),
        "by": by,
        "confusion": {"classes": list(found.labels), "counts": found.confusion.tolist()},
        **{key: values[key] for key in kept},
    }


def _show(found: FittedClassifier, bundle: str) -> None:
    counts = found.counts
    print(
        f"{found.measured.dataset}: {counts['files']:,} files of {counts['groups']:,} groups, {len(found.labels)} "
        f"classes; linear probe, {counts['folds']} folds of groups"
    )
    if counts["groups"] == counts["files"]:
        note("note: no groups are named, so each file is one; clips of one recording in two folds would flatter.")
    table(*tables.classification_table(found.measured))
    rows = []
    for row, name in enumerate(found.labels):
        others = found.confusion[row].copy()
        others[row] = 0
        taken = f"{found.labels[int(others.argmax())]} ({others.max()})" if others.any() else "-"
        recall = tables.percent(found.recall[name])
        rows.append((name, f"{found.files[name]:,}", f"{found.groups[name]:,}", recall, taken))
    table(("class", "files", "groups", "found, %", "most often taken for"), rows)
    error, loss = found.calibration_error, found.log_loss
    print(
        f"accuracy, each file by what it has: {tables.with_interval(found.accuracy, found.interval)} %; "
        f"calibration error {tables.percent(error[0])} %, log loss {loss[0]:.2f} "
        f"(uncalibrated {tables.percent(error[1])} %, {loss[1]:.2f})"
    )
    if found.interval[0] <= found.measured.majority:
        said = tables.percent(found.measured.majority)
        note(f"note: not clearly better than always saying the commonest class ({said} %); more groups would tell.")
    print(f"{len(found.labels)} classes of {bundle} -> {found.path}, {found.path.stat().st_size / 1e6:.1f} MB")


@classify.command()
def predict(
    classifier: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A file that avfeat classify fit has written.")
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, folders, - for stdin, or what avfeat embed has written: .lance, .parquet, ...",
        ),
    ],
    model: ModelOption = None,
    hop: Annotated[float | None, typer.Option(help="Seconds between windows; default: their length.")] = None,
    json: JsonOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Say of which class files are, as a whole and over time, with calibrated probabilities.

    avfeat classify predict model.onnx video.mp4 clips/       files and folders

    avfeat classify predict model.onnx clips.lance --json -   what is embedded already, every window
    """
    with ExitStack() as stack:
        encoder = None if model is None else stack.enter_context(load(model, device=device))
        loaded = stack.enter_context(load_classifier(classifier, encoder=encoder, device=device))
        found: list[Prediction] = []
        failures: list[Failure] = []
        with closing(_predict(loaded, inputs, hop, workers)) as results:
            for one in results:
                if isinstance(one, Failure):
                    note(f"error: {one.message}")
                    failures.append(one)
                else:
                    found.append(one)
    if json is not None:
        about = {"model": str(classifier), "bundle": loaded.bundle, "labels": list(loaded.labels)}
        predictions = [one.to_json() for one in found]
        write_json({**about, "predictions": predictions, "failures": [asdict(one) for one in failures]}, json)
    if json != "-":
        _show_predictions(found)
    if failures:
        raise typer.Exit(1)


def _predict(
    loaded: Classifier, inputs: Sequence[str], hop: float | None, workers: int | None
) -> Generator[Prediction | Failure, None, None]:
    for is_table, some in groupby(inputs, key=lambda name: Path(name).suffix.lower() in reading.READERS):
        if is_table:
            for name in some:
                with progress("classifying", None) as advance:
                    for embedding in reading.read_many(name):
                        yield loaded.predict_embedding(embedding)
                        advance(embedding.source)
        else:
            yield from _predict_media(loaded, list(some), hop, workers)


def _predict_media(
    loaded: Classifier, inputs: Sequence[str], hop: float | None, workers: int | None
) -> Generator[Prediction | Failure, None, None]:
    stdin = None if sys.stdin is None else getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    tasks = job.make_plan(inputs, job.STDOUT, stdin=stdin).tasks
    waiting = [task for task in tasks if task.failure is None]
    results = loaded.predict_many(
        (task.source for task in waiting), hop=hop, workers=workers, isolate=len(waiting) > 1
    )
    with closing(results), progress("classifying", len(tasks)) as advance:
        for task in tasks:
            yield next(results) if task.failure is None else task.failure
            advance(Path(task.name).name)


def _show_predictions(found: Sequence[Prediction]) -> None:
    rows = [(one.label, f"{one.probability:.2f}", _NAMES.get(one.used, one.used), one.source) for one in found]
    if rows:
        table(("class", "probability", "by", "file"), rows)
    if len(found) == 1:
        times = [
            (f"{one.start:.2f} s", f"{one.end:.2f} s", one.label, f"{one.probability:.2f}")
            for one in found[0].moments()
        ]
        table(("start", "end", "class", "probability"), times)
