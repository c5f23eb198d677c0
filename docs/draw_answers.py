"""Draws the pages of ``avfeat search`` and ``avfeat duplicates``, of the synthetic dataset.

    python docs/draw_answers.py FOLDER docs/images

FOLDER keeps the videos and their index. Needs FFmpeg's program, Chromium, and the package playwright.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1000, 640
COPIES = {
    "smaller.mp4": ("-vf", "scale=160:-2", "-crf", "34"),
    "mirrored.mp4": ("-vf", "hflip,crop=iw*0.8:ih*0.8"),
    "a-part.mp4": ("-ss", "2.7", "-t", "5"),
}


def main(folder: Path, out: Path) -> None:
    """Make the videos once, run the commands, and take the pictures."""
    videos = folder / "dataset" / "AVE"
    if not videos.exists():
        avfeat("synth", "ave", folder / "dataset", "--videos", 84)
    chosen = sorted(videos.glob("*.mp4"))
    for number, (name, change) in enumerate(COPIES.items()):
        copy(chosen[7 * number + 3], videos / f"copy-{number + 1}-{name}", change)
    query = folder / "query.mp4"
    copy(chosen[-9], query, COPIES["a-part.mp4"])
    index = folder / "dataset.lance"
    avfeat("embed", videos, "-o", index)
    avfeat("search", index, query, "--top", 6, "--per-file", 1, "--html", folder / "search.html")
    avfeat("duplicates", index, "--html", folder / "duplicates.html")
    for name in ("search", "duplicates"):
        photograph(folder / f"{name}.html", out / f"{name}.png")


def avfeat(*words: object) -> None:
    """Run a command of avfeat."""
    subprocess.run([sys.executable, "-m", "avfeat", *map(str, words)], check=True)


def copy(source: Path, target: Path, change: tuple[str, ...]) -> None:
    """A changed copy, once."""
    if not target.exists():
        subprocess.run(["ffmpeg", "-v", "error", "-i", source, *change, target], check=True)


def photograph(page: Path, target: Path) -> None:
    """What a browser shows of a page."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"))
        sheet = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        sheet.goto(page.absolute().as_uri())
        sheet.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
