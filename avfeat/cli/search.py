"""``avfeat search``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from avfeat.cli.options import DeviceOption, HtmlOption, IndexArgument, ModelOption
from avfeat.cli.printing import JsonOption, progress, table, write_json
from avfeat.index.search import MOST, By, Hit, Searcher


def search(
    index: IndexArgument,
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="A video, a sound or a still picture; with --by text, words.")
    ],
    by: Annotated[
        By,
        typer.Option(help="What is compared: across takes what is seen in one with what is heard in the other."),
    ] = "both",
    top: Annotated[int, typer.Option(min=1, max=MOST, help="Moments at most.")] = 10,
    per_file: Annotated[int, typer.Option("--per-file", min=1, max=MOST, help="Moments of one file at most.")] = 3,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    json: JsonOption = None,
    html: HtmlOption = None,
) -> None:
    """Find the moments of an index that are most like a video, a sound, a picture or a text.

    avfeat search clips.lance query.mp4                     what looks and sounds like it

    avfeat search clips.lance bark.wav --by across          what looks like what one would hear

    avfeat search clips.lance photo.jpg --html sheet.html   a page with frames and players
    """
    from avfeat.made_with import encoder_of

    searcher = Searcher(index)
    with encoder_of(searcher.collection, None if model is None else str(model), device) as encoder:
        searcher.use(encoder)
        hits = searcher.find(query, by, top, per_file)
    if json is not None:
        found = {"index": str(index), "query": query, "by": by, "bundle": searcher.collection.bundle}
        write_json({**found, "hits": [asdict(hit) for hit in hits]}, json)
    if json != "-":
        rows = [(f"{hit.score:.3f}", f"{hit.start:.2f} s", f"{hit.end:.2f} s", hit.file) for hit in hits]
        table(("score", "start", "end", "file"), rows)
    if html is not None:
        _write_page(html, f"{Path(query).name if by != 'text' else query} in {index.name}", searcher, hits)


def _write_page(html: Path, title: str, searcher: Searcher, hits: list[Hit]) -> None:
    from avfeat.index.sheet import Moment, Row, write_sheet

    moments = [
        Moment(hit.file, searcher.place(hit.file), hit.start, hit.end, f"score {hit.score:.3f}") for hit in hits
    ]
    with progress("drawing", len(hits)) as advance:
        write_sheet(html, title, [Row("", moments)] if moments else [], advance)
