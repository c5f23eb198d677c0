"""Draws the pages of ``avfeat search`` and ``avfeat duplicates``, of the synthetic dataset.

    python docs/draw_answers.py FOLDER docs/images

FOLDER keeps the videos and their index. Needs FFmpeg's program, Chromium, and the package playwright.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH = 1000
HEIGHTS = {"search": 560, "duplicates": 580}
COPIES = {
    "smaller.mp4": ("-vf", "scale=160:-2", "-crf", "34"),
    "mirrored.mp4": ("-vf", "hflip,crop=iw*0.8:ih*0.8"),
    "grey.mp4": ("-vf", "hue=s=0", "-ss", "1", "-t", "7"),
}


def main(folder: Path, out: Path) -> None:
    """Make the videos once, run the commands, and take the pictures."""
    out = out.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # So that names are short.
    os.chdir(folder)
    videos, few = Path("dataset", "AVE"), Path("clips")
    if not videos.exists():
        avfeat("synth", "ave", "dataset", "--videos", 84)
    chosen = sorted(videos.glob("*.mp4"))
    few.mkdir(exist_ok=True)
    for number, (name, change) in enumerate(COPIES.items()):
        shutil.copy(chosen[7 * number + 3], few / f"video-{number + 1}.mp4")
        copy(chosen[7 * number + 3], few / f"copy-{number + 1}-{name}", change)
    copy(chosen[20], Path("query.mp4"), ("-ss", "2.7", "-t", "5"))
    avfeat("embed", videos, "-o", "dataset.lance")
    avfeat("embed", few, "-o", "clips.lance")
    avfeat("search", "dataset.lance", "query.mp4", "--top", 6, "--per-file", 1, "--html", "search.html")
    avfeat("duplicates", "clips.lance", "--html", "duplicates.html")
    for name, height in HEIGHTS.items():
        photograph(Path(f"{name}.html"), height, out / f"{name}.png")


def avfeat(*words: object) -> None:
    """Run a command of avfeat."""
    subprocess.run([sys.executable, "-m", "avfeat", *map(str, words)], check=True)


def copy(source: Path, target: Path, change: tuple[str, ...]) -> None:
    """A changed copy, once."""
    if not target.exists():
        subprocess.run(["ffmpeg", "-v", "error", "-i", source, *change, target], check=True)


def photograph(page: Path, height: int, target: Path) -> None:
    """What a browser shows of a page."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"))
        sheet = browser.new_page(viewport={"width": WIDTH, "height": height})
        sheet.goto(page.absolute().as_uri())
        # Players show that they wait until they are told to look at their file.
        sheet.evaluate("for (const player of document.querySelectorAll('video')) player.preload = 'metadata'")
        sheet.wait_for_timeout(2000)
        sheet.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
