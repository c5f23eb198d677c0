from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from avfeat.media.spec import VideoSpec
from avfeat.training.data.index import CacheRow
from avfeat.training.data.windows import Spread, read_window, room_of, window_starts

SECOND = 1_000_000
ROW = CacheRow("a", "a", "x", None, 10 * SECOND, 10 * SECOND, 0, (), 0, None)


def test_five_windows_of_two_seconds_are_the_grid_of_the_runtime() -> None:
    assert window_starts(ROW, 2.0, 5).tolist() == [0, 2 * SECOND, 4 * SECOND, 6 * SECOND, 8 * SECOND]
    assert window_starts(ROW, 4.0, 1).tolist() == [3 * SECOND]
    # Streams that end and begin apart; a clip that is shorter than its window.
    uneven = replace(ROW, audio_end=7 * SECOND, begin=SECOND)
    assert window_starts(uneven, 2.0, 3).tolist() == [SECOND, 3 * SECOND, 5 * SECOND]
    assert window_starts(replace(ROW, video_end=SECOND, audio_end=None), 2.0, 3).tolist() == [0, 0, 0]


def test_middles_lie_in_the_middles_of_equal_parts() -> None:
    assert window_starts(ROW, 2.0, 4, "middles").tolist() == [1 * SECOND, 3 * SECOND, 5 * SECOND, 7 * SECOND]
    assert window_starts(ROW, 4.0, 1, "middles").tolist() == window_starts(ROW, 4.0, 1).tolist()


ENDS = st.none() | st.integers(1, 100 * SECOND)


@given(
    ends=st.tuples(ENDS, ENDS).filter(any),
    share=st.floats(0, 1),
    seconds=st.floats(0.1, 20),
    count=st.integers(1, 9),
    spread=st.sampled_from(["edges", "middles"]),
)
def test_windows_lie_inside_where_all_streams_are(
    ends: tuple[int | None, int | None], share: float, seconds: float, count: int, spread: Spread
) -> None:
    end = min(one for one in ends if one is not None)
    row = replace(ROW, video_end=ends[0], audio_end=ends[1], begin=int(share * end))
    starts, room = window_starts(row, seconds, count, spread), room_of(row, seconds)
    assert len(starts) == count and (np.diff(starts) >= 0).all()
    assert starts[0] >= row.begin and starts[-1] <= row.begin + room
    # As far from the beginning as from the end.
    assert abs((starts[0] - row.begin) - (row.begin + room - starts[-1])) <= 1
    assert room == 0 or starts[-1] + round(seconds * SECOND) <= end


@pytest.mark.parametrize(("seconds", "fps"), [(2.0, 8), (1.0, 30), (1.9, 10), (0.5, 24)])
def test_a_window_holds_what_the_runtime_cuts(seconds: float, fps: int) -> None:
    class Noting:
        def frames(self, instants: NDArray[np.int64]) -> NDArray[np.int64]:
            return instants

        def sound(self, start: int, count: int, speed: float) -> tuple[int, int, float]:
            return start, count, speed

    clip: Any = Noting()
    frames, sound = read_window(clip, 3, seconds, fps, 16_000)
    count = round(seconds * fps)
    np.testing.assert_array_equal(frames, 3 + VideoSpec(fps, count, 112).offsets())
    np.testing.assert_allclose(frames - 3, (np.arange(count) + 0.5) / fps * SECOND, atol=0.5)
    assert sound == (3, round(seconds * 16_000), 1.0)
