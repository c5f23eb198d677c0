"""The windows of a media, and what is known when they are cut."""

from __future__ import annotations

import numpy as np
import pytest

from avfeat.grid import Grid
from avfeat.media import AudioSpec, MediaSummary, VideoSpec, array_windows


def test_what_is_known_of_the_media_comes_with_its_last_window() -> None:
    frames = np.zeros((20, 16, 16, 3), np.uint8)
    windows = array_windows(
        frames, 8.0, None, 1, Grid.from_seconds(2.0), VideoSpec(8, 16, 16), AudioSpec(16_000, 32_000)
    )
    assert next(windows).start == 0
    with pytest.raises(RuntimeError, match="to the end"):
        _ = windows.outcome
    assert [window.start for window in windows] == [2_000_000]
    assert next(windows, None) is None
    assert windows.outcome == MediaSummary(2_500_000, (), 2_500_000, None)
