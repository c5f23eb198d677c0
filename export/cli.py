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

_OWN = "transformers:REPO_OR_FOLDER, module.py:function"
_AUDIO = f"mn04_as, mn04_as:FILE, {_OWN}"
_VIDEO = f"timm:NAME, torchvision:NAME, efficientnet_lite0, {_OWN}"


def export(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="BUNDLE", help="Folder of the bundle to write.")],
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Folder of a run, a checkpoint, or untrained:mini for a pair with random weights.",
        ),
    ] = None,
    video: Annotated[
        str | None, typer.Option(metavar="SPEC", help=f"A network of frames in place of RUN: {_VIDEO}.")
    ] = None,
    audio: Annotated[
        str | None, typer.Option(metavar="SPEC", help=f"A network of sound in place of RUN: {_AUDIO}.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of --video: frames a window; default: what suits it.")
    ] = None,
    pool: Annotated[
        str,
        typer.Option(
            metavar="P",
            help="Of a window's frames: mean, mean_std, or none, which keeps their rows beside the mean.",
        ),
    ] = "mean",
    text_of: Annotated[
        str | None,
        typer.Option(
            "--text",
            metavar="M",
            help="The network whose text tower is written, too: video, audio or none; default: what there is.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="Of --video, --audio: length of a window; default: what suits the network, or 2 s."
        ),
    ] = None,
    frame_size: Annotated[
        str,
        typer.Option(
            metavar="S",
            help="Of --video: original gives what the network's own library gives; network has FFmpeg scale frames "
            "before: faster from large videos, embeddings near those.",
        ),
    ] = "original",
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

    avfeat export --video timm:vit_small_patch14_dinov2.lvd142m --audio transformers:openai/whisper-tiny -o bundle
    """
    with extra_packages("train"):
        from avfeat.export.card import read_text
        from avfeat.export.errors import ParityError
        from avfeat.export.formats import choose_formats
        from avfeat.export.parity.gate import lines
        from avfeat.export.request import Request
    forms, kind = choose_formats(formats, precision)
    try:
        check_free(out)
    except BundleError as error:
        raise ArgumentError(str(error)) from error
    request = Request(
        out=out,
        run=run,
        video=video,
        audio=audio,
        frames=frames,
        pool=pool,
        text=text_of,
        seconds=seconds,
        frame_size=frame_size,
        formats=forms,
        precision=kind,
        calibration=calibration,
        name=name,
        licence=licence,
        data=data,
        notes="" if notes is None else read_text(notes),
    )
    request.check()
    try:
        with progress("export", None) as follow:
            done = request.carry_out(follow)
    except ParityError as error:
        note("\n".join(lines(error.rows)))
        raise
    print("\n".join(lines(done.rows)))
    for modality, said in done.layers.items():
        print(f"{modality}: {said}; others, if any, are in float32, as measured")
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{done.bundle.name} -> {out}, {size / 1e6:.1f} MB\n\nnext:")
    backend, folder = "" if "onnx" in forms else f" --backend {forms[0]}", shlex.quote(str(out))
    sys.stdout.write(f"  avfeat verify {folder}{backend}\n  avfeat embed video.mp4 --model {folder}{backend}\n")
