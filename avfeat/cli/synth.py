"""``avfeat synth``."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from avfeat.cli.printing import note, progress

synth = typer.Typer(no_args_is_help=True, help="Render synthetic datasets: labelled videos that anyone can have.")


@synth.callback()
def _synth() -> None:
    """Render synthetic datasets: labelled videos that anyone can have."""


@synth.command()
def ave(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder, new or with a part of the same dataset.")],
    videos: Annotated[int, typer.Option(min=1, help="How many; 84 or more put every class in every split.")] = 280,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a processor.")] = None,
) -> None:
    """Write labelled events in the shape of the AVE data set: 28 classes, 10 s each, three splits.

    avfeat synth ave dataset --videos 280   writes dataset/AVE/*.mp4, Annotations.txt, trainSet.txt, ...
    """
    from avfeat.world.ave import write_ave
    from avfeat.world.plan import plan

    begun = time.perf_counter()
    splits = Counter(video.split for video in plan(videos, seed))
    new = 0
    with progress("rendering", videos) as advance:
        for written in write_ave(out, videos, seed, workers):
            advance(written.video.id)
            new += not written.before
    parts = ", ".join(f"{count} {split}" for split, count in splits.items())
    print(f"{videos} videos ({parts}; {videos - new} there before) -> {out} in {time.perf_counter() - begun:.1f} s")
    if len({(video.category, video.split) for video in plan(videos, seed)}) < 28 * 3:
        note("note: with fewer than 84 videos, not every class is in every split.")
