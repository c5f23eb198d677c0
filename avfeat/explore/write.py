"""The page: one HTML file with everything in it, which asks for nothing but the media files beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from avfeat.explore.data import (
    NOTHING,
    agreement_data,
    film_data,
    groups_of,
    json_in_html,
    names,
    packed,
    vectors_of,
)
from avfeat.explore.films import Shown
from avfeat.explore.map import Map
from avfeat.extras import extra_packages
from avfeat.index.sheet import link_to, place_of
from avfeat.plain import visible
from avfeat.writers.atomic import atomic

_SCRIPTS = ("data.js", "map.js", "moment.js", "timeline.js", "selection.js", "main.js")


def plotly_script() -> str:
    """The JavaScript that plotly's Python package carries (MIT).

    Raises:
        BackendError: plotly is not installed.
    """
    with extra_packages("search"):
        from plotly.offline import get_plotlyjs
    script: str = get_plotlyjs()
    return script.replace("</script", "<\\/script")


def write_page(path: Path, drawn: Map, shown: Sequence[Shown]) -> int:
    """Write the page atomically; gives its bytes.

    Args:
        path: of the page.
        drawn: the map.
        shown: frames and loudness of its files.

    Raises:
        BackendError: plotly is not installed.
        OutputError: the page cannot be written.
    """
    page = files("avfeat.explore") / "page"
    plotly = plotly_script()
    script = "\n".join((page / name).read_text("utf-8") for name in _SCRIPTS)
    number = {int(file): place for place, file in enumerate(drawn.files())}
    title = escape(visible(f"{drawn.collection.path.name} · avfeat explore"))
    html = Template((page / "page.html").read_text("utf-8")).substitute(
        policy=_policy(plotly, script),
        title=title,
        name=escape(visible(drawn.collection.path.name)),
        style=(page / "page.css").read_text("utf-8"),
        data=json_in_html(_data(drawn, shown, path.parent)),
        plotly=plotly,
        script=script,
        films=json_in_html(film_data(shown, number)),
    )
    content = html.encode("utf-8", "backslashreplace")
    with atomic(path) as file:
        file.write(content)
    return len(content)


def _policy(*scripts: str) -> str:
    """No network, and no script but these: ``Content-Security-Policy``, level 2.

    ``unsafe-eval`` is for plotly's WebGL traces, whose regl makes functions for shaders; for these scripts alone.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _data(drawn: Map, shown: Sequence[Shown], folder: Path) -> dict[str, Any]:
    collection, points = drawn.collection, drawn.points
    chosen = drawn.files()
    sources = [collection.sources[file] for file in chosen]
    places = [place_of(collection.places[file], collection.path) for file in chosen]
    playable = {one.file for one in shown if one.playable}
    groups = [
        groups_of(title, [visible(values[file]) for file in chosen]) for title, values in drawn.groups.items()
    ]
    return {
        "index": collection.path.name,
        "kind": points.kind,
        "by": drawn.by,
        "of": points.of,
        "without": points.without,
        "method": drawn.layout.method,
        "why": drawn.layout.why,
        "hop": collection.hop(),
        "files": {
            "sources": names(sources),
            "shown": names([visible(source) for source in sources]),
            "links": names([link_to(place, folder) for place in places]),
            "durations": packed(collection.durations[chosen].astype(np.float32)),
            "starts": packed(collection.start[collection.first[chosen]].astype(np.float32)),
            "playable": packed(np.array([file in playable for file in chosen], np.uint8)),
            "failures": {
                str(np.searchsorted(chosen, one.file)): visible(one.failure) for one in shown if one.failure
            },
            "films": len(shown),
        },
        "points": {
            "file": packed(np.searchsorted(chosen, points.file).astype(np.int32)),
            "start": packed(points.start.astype(np.float32)),
            "end": packed(points.end.astype(np.float32)),
            "x": packed(drawn.layout.places[:, 0]),
            "y": packed(drawn.layout.places[:, 1]),
            "cluster": packed(drawn.clusters.astype(np.int32)),
        },
        "vectors": vectors_of(points),
        "groups": groups,
        "agreement": agreement_data(drawn.agreement, collection.first, chosen),
        "nothing": NOTHING,
    }
