"""``avfeat preview``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avfeat.errors import ArgumentError
from avfeat.extras import extra_packages


def preview(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="An image (.png) or a video (.mp4).")],
    composition: Annotated[
        str | None,
        typer.Option(metavar="C", help="A composition by name, or a YAML file; default: every augmentation."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="R", help="A recipe by name, or a YAML file: its composition.")
    ] = None,
    strength: Annotated[float, typer.Option(min=0.0, max=1.0, help="Scales all strengths.")] = 1.0,
    start: Annotated[float, typer.Option(min=0.0, metavar="S", help="Where the two seconds begin.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, max=2**62, help="Random seed.")] = 0,
) -> None:
    """Draw what augmentations do to a clip: film strip, waveform and spectrogram, before and after each.

    avfeat preview video.mp4 -o sheet.png                        every augmentation

    avfeat preview video.mp4 --composition clar -o sheet.png     those of a composition, and all together

    avfeat preview video.mp4 --recipe base -o sheet.png          those that a recipe trains with

    avfeat preview video.mp4 -o before-and-after.mp4             as a video, with audio
    """
    if out.suffix.lower() not in (".png", ".mp4"):
        raise ArgumentError(f"{out}: a preview is a .png or a .mp4.")
    if out.exists() and clip.exists() and out.samefile(clip):
        raise ArgumentError(f"{out}: is the clip itself; give the preview another name.")
    if composition is not None and recipe is not None:
        raise ArgumentError("--composition and --recipe say both what to draw; give one.")
    with extra_packages("train"):
        from avfeat.training.augment.compose import load_composition
        from avfeat.training.preview import draw_sheet, strips, write_video
        from avfeat.training.recipes.load import load_recipe_composition
    chosen = None if composition is None else load_composition(composition)
    if recipe is not None:
        chosen = load_recipe_composition(recipe)
    rows = strips(clip, chosen, strength=strength, start=start, seed=seed)
    (draw_sheet if out.suffix.lower() == ".png" else write_video)(rows, out)
    print(f"{len(rows) - 1} before and after -> {out}")
