"""The page of ``avfeat explore`` in a real browser."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collections_made import make_collection

from avfeat.explore.map import make_map
from avfeat.explore.write import write_page

api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")

PLACE = """(i) => {
  const {xaxis, yaxis} = map._fullLayout, box = map.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.d2p(points.x[i]), box.top + yaxis._offset + yaxis.d2p(points.y[i])];
}"""


class Seen:
    """A page in a browser, and all that its console said."""

    def __init__(self, browser: Any, path: Path, width: int = 1200) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 800}, accept_downloads=True)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url.partition(":")[0]))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def point(self, name: str) -> tuple[int, float, float]:
        """A point of a file, and where it is on the screen."""
        i = self.page.evaluate("(name) => points.file.findIndex((file) => nameOf(file).endsWith(name))", name)
        return (i, *self.page.evaluate(PLACE, i))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        software = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=software)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def seen(browser: Any, odd_index: Path) -> Seen:
    from typer.testing import CliRunner

    from avfeat.cli.app import make_app

    ran = CliRunner().invoke(make_app(), ["explore", str(odd_index), "-o", str(odd_index.parent / "page.html")])
    assert ran.exit_code == 0, ran.output
    return Seen(browser, odd_index.parent / "page.html")


def test_pointing_at_the_map_shows_the_frame(seen: Seen) -> None:
    _, x, y = seen.point("x.mp4")
    seen.page.mouse.move(x - 30, y - 30)
    seen.page.mouse.move(x, y, steps=3)
    card = seen.page.locator("#card")
    card.wait_for(state="visible")
    assert card.locator("b").inner_text().endswith("</script>/<img src=x onerror=alert(1)>&\"'$x.mp4")
    # The strip is a picture that the browser can read.
    assert "blob:" in card.locator(".frame").evaluate("(box) => box.style.backgroundImage")
    url = "(box) => { const image = new Image(); image.src = box.style.backgroundImage.slice(5, -2); return "
    width = card.locator(".frame").evaluate(url + "image.decode().then(() => image.naturalWidth); }")
    assert width == 3 * 96


def test_a_click_plays_the_moment_lists_neighbours_and_opens_the_timeline(seen: Seen) -> None:
    page = seen.page
    _, x, y = seen.point("quiet.mp4")
    page.mouse.click(x, y)
    page.wait_for_selector("#moment video")
    source = page.locator("#moment video").get_attribute("src")
    assert source == "./clips/quiet.mp4#t=0.000,2.000" or source == "./clips/quiet.mp4#t=2.000,4.000"
    page.wait_for_function("document.querySelector('#moment video').videoWidth === 80")
    names = page.locator("#neighbours .name").all_inner_texts()
    assert sorted(names) == sorted(["other.mkv", "sound.wav", "</script>/<img src=x onerror=alert(1)>&\"'$x.mp4"])
    assert page.locator("#strip .frame .frame").count() == 2
    assert page.locator("#line .scatterlayer .trace").count() >= 1
    # Chance is said; a window of a file without sound has no cosine.
    assert "no window with both" in page.locator("#chance").inner_text()
    page.locator("#neighbours button", has_text="script").click()
    assert "mismatched pairs" in page.locator("#chance").inner_text()
    assert "of 3 lie above the middle of chance" in page.locator("#chance").inner_text()
    # A click on the timeline goes to that moment.
    box = page.locator("#strip").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.95, box["y"] + 5)
    assert page.locator("#moment p").first.inner_text().startswith("4.0–5.")


def test_files_that_browsers_do_not_play_get_their_frames(seen: Seen) -> None:
    i, _, _ = seen.point("other.mkv")
    seen.page.evaluate("(i) => choose(i)", i)
    assert seen.page.locator("#moment video").count() == 0
    assert seen.page.locator("#moment > .frame").bounding_box()["height"] > 200


def test_the_lasso_makes_a_list_that_can_be_saved(seen: Seen) -> None:
    page = seen.page
    page.click("#lasso")
    box = page.locator("#map").bounding_box()
    corners = [(4, 4), (box["width"] - 4, 4), (box["width"] - 4, box["height"] - 4), (4, box["height"] - 4), (4, 4)]
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    page.mouse.up()
    page.wait_for_selector("#selection:not([hidden])")
    assert page.locator("#selected").inner_text() == "9 windows of 4 files selected"
    with page.expect_download() as saved:
        page.click("#json")
    rows = json.loads(Path(saved.value.path()).read_text())
    assert len(rows) == 9 and set(rows[0]) == {"file", "start", "end", "cluster", "folder"}
    with page.expect_download() as saved:
        page.click("#csv")
    with Path(saved.value.path()).open(newline="") as file:
        again = list(csv.DictReader(file))
    assert [row["file"] for row in again] == [row["file"] for row in rows]
    assert any(row["file"].endswith("onerror=alert(1)>&\"'$x.mp4") for row in again)
    page.click("#clear")
    assert page.locator("#selection").is_hidden()


def test_colours_can_be_changed_and_set_apart(seen: Seen) -> None:
    page = seen.page
    page.select_option("#colour", "file")
    assert page.locator("#legend button").count() == 4
    page.locator("#legend button").first.click()
    chosen = page.evaluate("map.data[0].selectedpoints.length")
    assert chosen == int(page.locator("#legend button span").first.inner_text()) == 3
    page.select_option("#colour", "agreement of audio and video")
    assert "mismatched pairs" in page.locator("#legend").inner_text()


def test_a_phone_shows_all_of_it_without_a_sideways_scroll(seen: Seen) -> None:
    page = seen.page
    page.set_viewport_size({"width": 375, "height": 780})
    for file in ("other.mkv", "x.mp4"):
        page.evaluate("(i) => { choose(i); showSelection([0, 1, 2]); }", seen.point(file)[0])
        # The map follows its box a little later.
        page.wait_for_function("document.documentElement.scrollWidth === 375", timeout=10_000)
    # The timeline comes right below the moment.
    tops = [page.locator(part).bounding_box()["y"] for part in ("#map", "#moment", "#time", "#near", "#about")]
    assert tops == sorted(tops)


def test_the_console_is_silent_and_nothing_is_asked_of_a_network(seen: Seen) -> None:
    assert seen.said == []
    assert set(seen.asked) <= {"file", "blob", "data"}


def test_a_page_without_frames_or_agreement_says_so(browser: Any, tmp_path: Path) -> None:
    drawn = make_map(make_collection(["a.wav", "b.wav"]), "files", "audio", None, 0)
    write_page(tmp_path / "bare.html", drawn, [])
    bare = Seen(browser, tmp_path / "bare.html")
    bare.page.evaluate("choose(0)")
    assert "keeps no frame" in bare.page.locator("#moment").inner_text()
    assert "is not known" in bare.page.locator("#chance").inner_text()
    assert "Frames are kept of 0 of 2 files" in bare.page.locator("#about").inner_text()
    assert bare.said == []
