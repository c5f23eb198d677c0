"""``avfeat export``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from avfeat.bundle import check_free
from avfeat.cli.printing import note, progress
from avfeat.errors import ArgumentError, BundleError
from avfeat.extras import extra_packages


def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run, a checkpoint, or untrained:mini for a pair with random weights.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="BUNDLE", help="Folder of the bundle to write.")],
    formats: Annotated[str, typer.Option("--format", metavar="F,F", help="Of onnx, torchscript, pt2.")] = "onnx",
    precision: Annotated[str, typer.Option(metavar="P", help="fp32, fp16 or int8.")] = "fp32",
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Real media for calibration and parity, as avfeat prepare takes it; default: the synthetic one.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the model.")] = None,
    licence: Annotated[str | None, typer.Option(metavar="TEXT", help="Of the weights.")] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What the model was trained on, in words; default: the training's DATA."),
    ] = None,
    notes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Markdown for the model card: measured results, limits.", dir_okay=False),
    ] = None,
) -> None:
    """Write a bundle of deployable encoders that take raw frames and a raw waveform, or nothing if they are wrong.

    avfeat export runs/first -o bundle

    avfeat export runs/first -o bundle --format onnx,pt2 --precision fp16

    avfeat export untrained:mini -o bundle --calibration clips/
    """
    with extra_packages("train"):
        from avfeat.export.bundle import export_bundle
        from avfeat.export.card import read_text
        from avfeat.export.errors import ParityError
        from avfeat.export.formats import choose_formats
        from avfeat.export.media import read_windows
        from avfeat.export.model import check_words, open_model, spec_of
        from avfeat.export.parity.gate import lines
    forms, kind = choose_formats(formats, precision)
    try:
        check_free(out)
    except BundleError as error:
        raise ArgumentError(str(error)) from error
    check_words(run, data)
    text = "" if notes is None else read_text(notes)
    try:
        with progress("export", None) as stage:
            stage("reading clips")
            windows = read_windows(calibration, spec_of(run))
            stage("opening the networks")
            model = open_model(run, windows, name, licence, data)
            done = export_bundle(out, model, windows, forms, kind, text, stage)
    except ParityError as error:
        note("\n".join(lines(error.rows)))
        raise
    print("\n".join(lines(done.rows)))
    for modality, said in done.layers.items():
        print(f"{modality}: {said}; others, if any, are in float32, as measured")
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{done.bundle.name} -> {out}, {size / 1e6:.1f} MB\n\nnext:")
    backend, name = "" if "onnx" in forms else f" --backend {forms[0]}", shlex.quote(str(out))
    sys.stdout.write(f"  avfeat verify {name}{backend}\n  avfeat embed video.mp4 --model {name}{backend}\n")
