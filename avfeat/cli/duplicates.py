"""``avfeat duplicates``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from avfeat.cli.options import HtmlOption, IndexArgument
from avfeat.cli.printing import JsonOption, note, progress, table, write_json
from avfeat.index.collection import Collection, load_collection
from avfeat.index.duplicates import THRESHOLD, Duplicates, find


def duplicates(
    index: IndexArgument,
    threshold: Annotated[
        float, typer.Option(metavar="S", help="The score from which windows are the same, in (0, 1).")
    ] = THRESHOLD,
    fail: Annotated[bool, typer.Option("--fail", help="Exit with status 1 if there are duplicates.")] = False,
    json: JsonOption = None,
    html: HtmlOption = None,
) -> None:
    """Find the files of an index that share footage, and where in time.

    avfeat duplicates clips.lance                      pairs, the best first

    avfeat duplicates clips.lance --html sheet.html    a page with frames and players

    avfeat duplicates clips.lance --json - --fail      for scripts: pairs and groups; status 1 if there are any
    """
    collection = load_collection(index, features=True)
    with progress("comparing", len(collection.sources)) as advance:
        found = find(collection, threshold, advance)
    if json is not None:
        values = {"index": str(index), "threshold": threshold, "bundle": collection.bundle}
        write_json({**values, "pairs": [asdict(pair) for pair in found.pairs], "groups": found.groups}, json)
    if json != "-":
        times = [
            [f"{time:.2f} s" for time in (pair.a_start, pair.a_end, pair.b_start, pair.b_end)]
            for pair in found.pairs
        ]
        rows = [(f"{pair.score:.3f}", *time, pair.a, pair.b) for pair, time in zip(found.pairs, times, strict=True)]
        table(("score", "start", "end", "start", "end", "a", "b"), rows)
    if html is not None:
        _write_page(html, index, collection, found)
    files = sum(map(len, found.groups))
    note(f"{len(found.pairs)} pairs; {files} of {len(collection.sources)} files in {len(found.groups)} groups.")
    if fail and found.pairs:
        raise typer.Exit(1)


def _write_page(html: Path, index: Path, collection: Collection, found: Duplicates) -> None:
    """Groups, with the moment of each file that is most like one of another."""
    from avfeat.index.sheet import Moment, Row, place_of, write_sheet

    places = dict(zip(collection.sources, collection.places, strict=True))
    best: dict[str, Moment] = {}
    for pair in found.pairs:
        for file, other, start, end in (
            (pair.a, pair.b, pair.a_start, pair.a_end),
            (pair.b, pair.a, pair.b_start, pair.b_end),
        ):
            word = f"score {pair.score:.3f} with {other}"
            best.setdefault(file, Moment(file, place_of(places[file], index), start, end, word))
    rows = [Row(f"{len(group)} files", [best[file] for file in group]) for group in found.groups]
    with progress("drawing", len(best)) as advance:
        write_sheet(html, f"Duplicates in {index.name}", rows, advance)
