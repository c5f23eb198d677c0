"""Which clips judge, and which clips lower precisions are chosen on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avfeat.export.media import ClipWindows


def windows(clips: int, each: int) -> ClipWindows:
    rows = clips * each
    numbers = np.arange(rows)
    return ClipWindows(
        np.zeros((rows, 1, 2, 2, 3), np.uint8) + numbers[:, None, None, None, None].astype(np.uint8),
        np.zeros((rows, 4), np.float32),
        # Not numbered from 0 on, as the members of a cache are not.
        np.repeat(3 * np.arange(clips) + 5, each),
        "made",
    )


@given(st.integers(4, 60), st.integers(1, 4), st.integers(2, 30))
def test_no_clip_is_on_both_sides(clips: int, each: int, most: int) -> None:
    judging, tuning = windows(clips, each).apart(most)
    assert not set(judging.clips) & set(tuning.clips)
    assert len(judging) == len(set(judging.clips)) == min(most, clips // 2)
    # All windows of all others.
    assert len(tuning) == each * (clips - len(judging))


def test_of_three_clips_all_are_on_both() -> None:
    judging, tuning = windows(3, 2).apart(24)
    assert len(judging) == 3 and len(tuning) == 6
