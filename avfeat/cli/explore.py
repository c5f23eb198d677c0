"""``avfeat explore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avfeat.cli.options import IndexArgument
from avfeat.cli.printing import JsonOption, facts, note, progress, write_json
from avfeat.explore.points import By, Kind


def explore(
    index: IndexArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", dir_okay=False, help="The page, such as page.html.")
    ],
    points: Annotated[Kind, typer.Option(help="What is drawn.")] = "windows",
    by: Annotated[
        By, typer.Option(help="Whether what looks alike lies together, what sounds alike, or both.")
    ] = "both",
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Colours by label: a CSV with the columns file and label.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another one gives another map.")] = 0,
    json: JsonOption = None,
) -> None:
    """Write a page to look at what is in an index: a map, frames, neighbours, timelines.

    avfeat explore clips.lance -o page.html                       open page.html in a browser

    avfeat explore clips.lance -o page.html --labels labels.csv   coloured by label
    """
    from avfeat.explore.films import plan_films, read_films
    from avfeat.explore.map import make_map
    from avfeat.explore.write import plotly_script, write_page
    from avfeat.index.collection import load_collection
    from avfeat.index.sheet import place_of

    # Before any work.
    plotly_script()
    with progress(f"reading {index.name}", None):
        collection = load_collection(index)
    with progress("laying out", None):
        drawn = make_map(collection, points, by, labels, seed)
    places = [place_of(place, index) for place in collection.places]
    orders = plan_films(drawn.files(), places, collection.durations, collection.hop())
    shown = []
    with progress("frames", len(orders)) as advance:
        for one in read_films(orders):
            advance(collection.sources[one.file])
            shown.append(one)
    size = write_page(out, drawn, shown)
    failures = [one.failure for one in shown if one.failure]
    if failures:
        note(f"{len(failures)} of {len(shown)} files gave no frames, such as {failures[0]}")
    summary = {**drawn.summary(), "page": str(out), "bytes": size, "failures": failures}
    if json is not None:
        write_json(summary, json)
    if json != "-":
        counts = summary["counts"]
        sampled = "" if counts["drawn"] == counts["of"] else f", a sample of {counts['of']:,}"
        why = f" ({drawn.layout.why})" if drawn.layout.why else ""
        facts(
            {
                "page": f"{out}, {size / 1e6:.1f} MB",
                "points": f"{counts['drawn']:,} {points}{sampled}; {counts['files']:,} files",
                "map": f"{drawn.layout.method}{why}; {len(summary['clusters'])} clusters",
            }
        )
