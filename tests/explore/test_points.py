"""What is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from collections_made import make_collection

from avfeat import ArgumentError
from avfeat.explore.points import make_points, spread


def test_windows_of_both_compare_by_the_mean_of_their_cosines() -> None:
    collection = make_collection(["a.mp4", "b.mp4"])
    points = make_points(collection, "windows", "both")
    video, audio = collection.vectors["video"].rows, collection.vectors["audio"].rows
    assert (len(points), points.of, points.without) == (8, 8, 0)
    np.testing.assert_allclose(
        points.vectors @ points.vectors.T, (video @ video.T + audio @ audio.T) / 2, atol=1e-6
    )
    assert points.file.tolist() == [0] * 4 + [1] * 4
    # The last window reaches beyond its file.
    assert points.end[3] == 7.5 and points.start[3] == 6.0


def test_files_are_the_mean_of_their_windows_and_what_is_missing_is_left_out() -> None:
    collection = make_collection(["a.mp4", "b.wav", "c.mp4"])
    points = make_points(collection, "files", "video")
    assert (points.file.tolist(), points.of, points.without) == ([0, 2], 2, 1)
    mean = collection.vectors["video"].rows[8:].mean(axis=0)
    np.testing.assert_allclose(points.vectors[1], mean / np.linalg.norm(mean), atol=1e-6)
    assert points.end.tolist() == [7.5, 7.5]
    assert make_points(collection, "windows", "both").without == 0
    with pytest.raises(ArgumentError, match=r"made\.lance: has no video to draw"):
        make_points(make_collection(["b.wav"]), "windows", "video")


def test_of_too_many_a_spread_sample_is_drawn() -> None:
    points = make_points(make_collection(["a.mp4", "b.mp4", "c.mp4"]), "windows", "audio", most=6)
    assert points.start.tolist() == [0.0, 4.0] * 3 and points.of == 12
    assert spread(np.arange(10), 3).tolist() == [0, 3, 6]
    assert spread(np.arange(3), 3).tolist() == [0, 1, 2]
