from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media

from avfeat import Encoder
from avfeat.evaluation.ave import SEGMENT
from avfeat.evaluation.classification import VIDEO
from avfeat.evaluation.features import of_file, of_seconds


def test_a_file_is_the_mean_of_the_windows_that_have_the_modality(tmp_path: Path, encoder: Encoder) -> None:
    path = make_media(tmp_path / "late.mp4", VideoTrack(6.0), AudioTrack(3.0, start=2.5))
    embedding = encoder.embed(path)
    assert embedding.has_audio.tolist() == [False, True, True]
    features = of_file(embedding)
    np.testing.assert_allclose(features.video[0], embedding.video.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(features.audio[0], embedding.audio[1:].mean(0), rtol=1e-5, atol=1e-6)
    assert features.has_video
    assert features.has_audio
    assert features.rows("av").shape == (1, features.video.shape[1] + features.audio.shape[1])


def test_a_modality_that_is_nowhere_is_zeros(tmp_path: Path, encoder: Encoder) -> None:
    features = of_file(encoder.embed(make_media(tmp_path / "silent.mp4", VideoTrack(1.0))))
    assert not features.has_audio
    assert not features.audio.any()
    assert features.video.any()


@pytest.mark.parametrize(
    ("seconds", "windows"), [(10.0, 10), (9.7, 10), (9.5, 9), (10.06, 10), (12.0, 12), (0.4, 1)]
)
def test_every_clip_has_ten_seconds(seconds: float, windows: int, tmp_path: Path, encoder: Encoder) -> None:
    path = make_media(tmp_path / "clip.wav", audio=AudioTrack(seconds, 16_000, codec="pcm_s16le"))
    hop, start = SEGMENT.times(encoder.bundle.seconds)
    assert (hop, start) == (1.0, -0.5)
    embedding = encoder.embed(path, hop=hop, start=start)
    assert len(embedding) == windows
    np.testing.assert_array_equal((embedding.start + embedding.end) / 2, np.arange(windows) + 0.5)
    rows = of_seconds(embedding).audio
    assert len(rows) == 10
    kept = min(windows, 10)
    np.testing.assert_array_equal(rows[:kept], embedding.audio[:kept])
    np.testing.assert_array_equal(rows[kept:], np.repeat(embedding.audio[kept - 1 : kept], 10 - kept, axis=0))


def test_the_video_protocol_takes_the_default_grid() -> None:
    assert VIDEO.times(2.0) == (2.0, 0.0)
    assert SEGMENT.times(4.0) == (1.0, -1.5)
