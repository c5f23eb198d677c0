"""What the page's scripts read."""

from __future__ import annotations

import base64
import json

import numpy as np
from collections_made import make_collection

from avfeat.explore import data
from avfeat.explore.agreement import agreement_of
from avfeat.explore.data import agreement_data, groups_of, json_in_html, names, vectors_of
from avfeat.explore.points import make_points


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def test_json_holds_no_tag_and_says_the_same() -> None:
    odd = {"a": "</script><!--<script>", "b": "\u2028\udcff"}
    text = json_in_html(odd)
    assert "<" not in text and text.isascii() and json.loads(text) == odd


def test_names_are_kept_without_what_they_begin_with() -> None:
    for values in (["x/a.mp4", "x/ab.mp4"], ["a"], ["", "a"], ["b", "a"], ["aa", "a"]):
        found = names(values)
        assert [found["start"] + rest for rest in found["rest"]] == values
    assert names(["x/a.mp4", "x/b.mp4"])["start"] == "x/"


def test_groups_are_ranked_by_size() -> None:
    found = groups_of("label", ["cat", "dog", "dog"])
    assert (found["names"], unpacked(found["codes"], "<i4").tolist()) == (["dog", "cat"], [1, 0, 0])


def test_vectors_keep_their_cosines(monkeypatch) -> None:
    points = make_points(make_collection([f"{n}.mp4" for n in range(20)], dims=32), "windows", "both")
    exact = points.vectors @ points.vectors.T
    for most, dims, error in ((10**6, 64, 0.002), (20 * 4 * 16, 16, 0.03)):
        monkeypatch.setattr(data, "MOST_BYTES", most)
        found = vectors_of(points)
        rows = unpacked(found["rows"], "i1").reshape(len(points), found["dims"]) * found["scale"]
        assert found["dims"] == dims and np.abs(rows @ rows.T - exact).mean() < error


def test_agreement_is_in_the_order_of_the_files_drawn() -> None:
    collection = make_collection(["a.mp4", "b.wav", "c.mp4"], windows=2)
    agreement = agreement_of(collection, seed=0)
    assert agreement is not None and agreement_data(None, collection.first, np.arange(3)) is None
    found = agreement_data(agreement, collection.first, np.array([1, 2]))
    windows = unpacked(found["windows"], "<i2")
    assert found["counts"] == [2, 2] and windows[:2].tolist() == [data.NOTHING] * 2
    np.testing.assert_allclose(windows[2:] / 10_000, agreement.windows[4:], atol=1e-4)
    assert sum(found["chance"]) > 0.999 and found["quantiles"] == sorted(found["quantiles"])
