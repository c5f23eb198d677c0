"""``avfeat prepare``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avfeat.cli.printing import note, progress
from avfeat.extras import extra_packages
from avfeat.media import Aspect

if TYPE_CHECKING:
    from avfeat.training.data import Event, PreparationFinished

MaxFailedOption = Annotated[
    float,
    typer.Option(min=0, max=1, metavar="SHARE", help="Stop when more than this share of the clips cannot be read."),
]
MAX_FAILED = 0.1


def prepare(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A folder, a file, a .csv, a list (.txt), shards (.tar), or synthetic:ave; with options: "
            "clips.csv?train=yes",
        ),
    ],
    cache: Annotated[Path, typer.Argument(metavar="CACHE", help="Folder of the cache.")],
    fps: Annotated[int, typer.Option(help="Frames a second.")] = 8,
    size: Annotated[int, typer.Option(metavar="PX", help="Height and width of the frames.")] = 112,
    sample_rate: Annotated[int, typer.Option(metavar="HZ", help="Samples a second, mono.")] = 16_000,
    aspect: Annotated[Aspect, typer.Option(help="What happens to frames that are not square.")] = "stretch",
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 100.")] = 95,
    workers: Annotated[int | None, typer.Option(min=1, help="Files at a time; default: one a processor.")] = None,
    max_failed: MaxFailedOption = MAX_FAILED,
) -> None:
    """Decode a data set once, so that training reads video and audio of any time at little cost.

    avfeat prepare clips/ cache             a folder, recursively

    avfeat prepare 'clips.csv?train=yes' cache

    avfeat prepare 'synthetic:ave?videos=280' cache

    Re-run to resume after an interruption, and to take in files that were added or changed.
    """
    begun = time.perf_counter()
    with extra_packages("train"):
        from avfeat.training.data import CacheSettings
        from avfeat.training.data import prepare as build
    settings = CacheSettings(fps, size, sample_rate, aspect, quality)
    with closing(build(data, cache, settings, workers=workers, max_failed=max_failed)) as events:
        finished = follow(events)
    if finished.failed:
        note(f"note: {finished.failed} failed; the reasons are in {cache / 'failures.jsonl'}")
    index = finished.index
    print(
        f"{len(index.rows)} clips, {index.seconds:.1f} s of media, {finished.failed} failed -> {cache}\n"
        f"{index.bytes / 1e6:.1f} MB, {index.bytes / max(index.seconds, 1e-6) / 1e3:.1f} kB a second of media, "
        f"in {time.perf_counter() - begun:.1f} s"
    )


def follow(events: Iterable[Event]) -> PreparationFinished:
    """Show what happens, up to the end."""
    from avfeat.training.data import ItemFailed, PreparationFinished, PreparationStarted

    with ExitStack() as stack:
        advance: Callable[[str], None] = note
        for event in events:
            if isinstance(event, PreparationFinished):
                return event
            if isinstance(event, PreparationStarted):
                advance = stack.enter_context(progress("preparing", event.total))
            elif isinstance(event, ItemFailed):
                note(f"error: {event.message}")
                advance(event.name)
            else:
                advance(event.row.name)
    raise AssertionError("the last event is Finished")
