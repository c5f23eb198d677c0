"""The page of ``avfeat explore`` in Chromium with software WebGL: how large, how soon usable, how smooth to move.

python benchmarks/explore.py page clips.lance page.html     # writes the page and opens it
python benchmarks/explore.py open page.html                 # opens a page that is there
python benchmarks/explore.py many clips.lance many.html     # 100,000 points, jittered from those of an index
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from avfeat.explore.layout import Layout, principal
from avfeat.explore.map import Map
from avfeat.explore.points import make_points
from avfeat.explore.write import write_page
from avfeat.index.collection import load_collection

MANY = 100_000
# Time between the frames that the browser draws while the mouse drags the map to and fro.
DRAG = """() => { window.frames_at = []; const next = (t) => { frames_at.push(t); requestAnimationFrame(next); };
  requestAnimationFrame(next); }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["page", "open", "many"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    page = options.paths[-1]
    if options.what == "page":
        begin = time.perf_counter()
        command = [sys.executable, "-m", "avfeat", "explore", str(options.paths[0]), "-o", str(page)]
        subprocess.run(command, check=True)
        print(f"written in {time.perf_counter() - begin:.0f} s")
    if options.what == "many":
        write_many(options.paths[0], page)
    measure(page, options.runs)


def write_many(index: Path, page: Path, seed: int = 0) -> None:
    """A page of points whose vectors and places are those of an index, jittered."""
    rng = np.random.default_rng(seed)
    collection = load_collection(index)
    points = make_points(collection, "windows", "both")
    rows = rng.integers(0, len(points), MANY)
    places = principal(points.vectors, 2)
    spread = places.std(axis=0)
    vectors = points.vectors[rows] + rng.normal(0, 0.02, (MANY, points.vectors.shape[1])).astype(np.float32)
    points = replace(
        points, file=points.file[rows], start=points.start[rows], end=points.end[rows], vectors=vectors, of=MANY
    )
    jittered = (places[rows] + 0.1 * spread * rng.normal(size=(MANY, 2))).astype(np.float32)
    folders = {"folder": ["."] * len(collection.first)}
    drawn = Map(collection, "both", points, Layout("PCA", "", jittered), points.file % 12, folders, None)
    write_page(page, drawn, [])


def measure(page: Path, runs: int) -> None:
    """Print bytes, milliseconds until the map can be used, and frames a second while it is panned."""
    from playwright.sync_api import sync_playwright

    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        ready = []
        for run in range(runs):
            seen = browser.new_page(viewport={"width": 1280, "height": 800})
            seen.goto(page.absolute().as_uri(), wait_until="commit")
            seen.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
            ready.append(int(seen.evaluate("document.documentElement.dataset.ready")))
            if run == runs - 1:
                pan(seen)
            seen.close()
        print(f"usable after {statistics.median(ready)} ms (median of {ready})")
        browser.close()


def pan(page: Any, seconds: float = 5.0) -> None:
    """Drag the map in circles."""
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y)
    page.evaluate(DRAG)
    begin, moves = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        moves += 1
        page.mouse.move(x + 60 * np.cos(moves / 8), y + 60 * np.sin(moves / 8))
    times = page.evaluate("frames_at")
    page.mouse.up()
    gaps = np.diff(times)
    print(
        f"panned with {moves} moves of the mouse: {1000 / gaps.mean():.1f} frames a second, "
        f"95 % of frames within {np.quantile(gaps, 0.95):.0f} ms"
    )


if __name__ == "__main__":
    main()
