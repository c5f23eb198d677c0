"""A page of what was found: one file without scripts, with a frame and a player for each moment."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from avfeat.errors import MediaError
from avfeat.index.frames import browsers_play, frame_at
from avfeat.plain import visible
from avfeat.writers.atomic import atomic

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; media-src *; style-src 'unsafe-inline'">
<title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1.2rem; max-width: 1320px;
 color: #222; background: #fafaf8 }}
h1 {{ font-size: 1.25rem; overflow-wrap: anywhere }}
.row {{ display: flex; flex-wrap: wrap; gap: 1.2rem 1rem; margin: 1rem 0; padding-top: 1rem;
 border-top: 1px solid #ddd }}
.row p {{ width: 100%; margin: 0 }}
figure {{ margin: 0; width: min(300px, 100%) }}
figcaption {{ overflow-wrap: anywhere; font-size: .9rem; padding-top: .3rem }}
a {{ color: inherit; font-weight: 600 }}
img, video {{ width: 100%; aspect-ratio: 16 / 9; object-fit: contain; background: #000; display: block;
 border-radius: 6px }}
.many {{ display: flex; gap: 2px }} .many img {{ min-width: 0; aspect-ratio: 16 / 16.2 }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #131313 }} .row {{ border-color: #333 }} }}
</style></head><body><h1>{title}</h1>
{rows}
</body></html>
"""


@dataclass(frozen=True)
class Moment:
    """A moment to show: its file, by name and by place, from ``start`` to ``end`` seconds, and a word on it."""

    file: str
    place: Path
    start: float
    end: float
    word: str = ""


@dataclass(frozen=True)
class Row:
    """Moments that belong together, with a heading."""

    heading: str
    moments: Sequence[Moment]


def write_sheet(
    path: Path, title: str, rows: Sequence[Row], tell: Callable[[str], None] = lambda name: None
) -> None:
    """Write the page atomically; ``tell`` gets the name of each moment that is drawn.

    A file that browsers play gets a player that begins at the moment; another three of its frames; one that is not
    there, or cannot be read, a sentence.

    Raises:
        OutputError: the page cannot be written.
    """
    parts = []
    for row in rows:
        figures = []
        for moment in row.moments:
            figures.append(_figure(moment, path.parent))
            tell(moment.file)
        heading = f"<p>{_text(row.heading)}</p>" if row.heading else ""
        parts.append(f'<div class="row">{heading}{"".join(figures)}</div>')
    page = _PAGE.format(title=_text(title), rows="\n".join(parts) or "<p>Nothing was found.</p>")
    with atomic(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))


def place_of(name: Path, index: Path) -> Path:
    """Where a file is: as it was named, or else seen from the folder of the index."""
    beside = index.parent / name
    return beside if not name.exists() and beside.exists() else name


def link_to(place: Path, folder: Path) -> str:
    """A file as seen from the page's folder, so that both can be moved together."""
    try:
        path = os.path.relpath(place.absolute(), folder.absolute())
    except ValueError:
        # On another drive.
        return place.absolute().as_uri()
    return f"./{quote(os.fsencode(path.replace(os.sep, '/')))}"


def _figure(moment: Moment, folder: Path) -> str:
    link = escape(f"{link_to(moment.place, folder)}#t={moment.start:.3f},{moment.end:.3f}")
    times = f"{moment.start:.1f} to {moment.end:.1f} s"
    words = f'<a href="{link}">{_text(moment.file)}</a><br>{times} {_text(moment.word)}'
    try:
        shown = _shown(moment, link)
    except MediaError as error:
        shown = f"<p>{_text(str(error))}</p>"
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"


def _shown(moment: Moment, link: str) -> str:
    middle = (moment.start + moment.end) / 2
    if browsers_play(moment.place):
        poster = _image(moment, middle)
        poster = f' poster="{poster}"' if poster else ""
        return f'<video controls preload="none" src="{link}"{poster}></video>'
    last = max(moment.start, moment.end - 0.1)
    images = [_image(moment, time) for time in (moment.start, middle, last)]
    return '<div class="many">' + "".join(f'<img alt="" src="{image}">' for image in images if image) + "</div>"


def _image(moment: Moment, time: float) -> str | None:
    picture = frame_at(moment.place, time)
    return None if picture is None else f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def _text(words: str) -> str:
    return escape(visible(words))
