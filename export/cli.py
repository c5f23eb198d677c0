"""``avfeat export``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from avfeat.bundle import check_free
from avfeat.cli.printing import note, progress
from avfeat.errors import ArgumentError, BundleError
from avfeat.extras import extra_packages

if TYPE_CHECKING:
    from avfeat.backends import Backend
    from avfeat.bundle import Precision
    from avfeat.export.backbones import Pool
    from avfeat.export.bundle import ExportedBundle

_OWN = "transformers:REPO_OR_FOLDER, module.py:function"
_AUDIO = f"mn04_as:FILE, {_OWN}"
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
        float | None, typer.Option(metavar="S", help="Of --video, --audio: length of a window; default: 2 s.")
    ] = None,
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
    forms, kind = choose_formats(formats, precision)
    try:
        check_free(out)
    except BundleError as error:
        raise ArgumentError(str(error)) from error
    text = "" if notes is None else read_text(notes)
    given = [option for option, value in (("--video", video), ("--audio", audio)) if value is not None]
    if (run is None) == (not given):
        raise ArgumentError("Give a RUN to export, or networks of others by --video, --audio or both.")
    try:
        with progress("export", None) as stage:
            if run is None:
                if (forms, kind) != (("onnx",), "fp32"):
                    raise ArgumentError(f"{' and '.join(given)}: networks of others are written as onnx in fp32.")
                done = _backbones(
                    out, video, audio, frames, pool, text_of, seconds, calibration, name, licence, data, text, stage
                )
            else:
                _check_run(frames, pool, text_of, seconds)
                done = _run(out, run, forms, kind, calibration, name, licence, data, text, stage)
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


def _run(
    out: Path,
    run: str,
    forms: Sequence[Backend],
    kind: Precision,
    calibration: str | None,
    name: str | None,
    licence: str | None,
    data: str | None,
    text: str,
    stage: Callable[[str], object],
) -> ExportedBundle:
    from avfeat.export.bundle import export_bundle
    from avfeat.export.media import read_windows
    from avfeat.export.model import check_words, open_model, spec_of

    check_words(run, data)
    stage("reading clips")
    windows = read_windows(calibration, spec_of(run))
    stage("opening the networks")
    model = open_model(run, windows, name, licence, data)
    return export_bundle(out, model, windows, forms, kind, text, stage)


def _check_run(frames: int | None, pool: str, text_of: str | None, seconds: float | None) -> None:
    """A run says itself what a window is."""
    for option, value in (
        ("--frames", frames),
        ("--pool", None if pool == "mean" else pool),
        ("--text", text_of),
        ("--seconds", seconds),
    ):
        if value is not None:
            raise ArgumentError(f"{option} goes with --video or --audio; a run has its own windows.")


def _backbones(
    out: Path,
    video: str | None,
    audio: str | None,
    frames: int | None,
    pool: str,
    text_of: str | None,
    seconds: float | None,
    calibration: str | None,
    name: str | None,
    licence: str | None,
    data: str | None,
    text: str,
    stage: Callable[[str], object],
) -> ExportedBundle:
    with extra_packages("backbones"):
        from avfeat.export.backbones import POOLS, choose_text, export_backbones, left_out, open_audio, open_video
    if pool not in POOLS:
        raise ArgumentError(f"--pool must be one of {', '.join(POOLS)}, not {pool!r}.")
    media = None if calibration is None else Path(calibration)
    if media is not None and not media.exists():
        raise ArgumentError(f"{media}: no such file or folder; --calibration of networks of others takes media.")
    stage("opening the networks")
    opened = None if video is None else open_video(video)
    heard = None if audio is None else open_audio(audio)
    chosen = choose_text(opened, heard, text_of)
    if (out_of_two := left_out(opened, heard, chosen)) is not None:
        note(f"note: a bundle has one shared space; --{out_of_two}, which has another, gives its features alone.")
    return export_backbones(
        out,
        opened,
        heard,
        frames=frames,
        seconds=seconds,
        pool=cast("Pool", pool),
        text=chosen,
        media=media,
        name=name,
        licence=licence,
        data=data,
        notes=text,
        follow=stage,
    )
