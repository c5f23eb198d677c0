"""Small files that went wrong once, where a folder of them lies beside the project: each comes out as it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from avfeat import Embedding, Encoder, Failure
from avfeat.media import decode

CASES = Path(__file__).parents[2] / "shared" / "cases"

# Rows with pictures, rows with sound, seconds, damaged.
EMBEDDED = {
    "ambisonic_360.webm": (2, 2, 3.0, False),
    "avi_begins_in_mid_gop.avi": (5, 5, 9.55, True),
    "avi_from_a_pipe.avi": (5, 5, 10.04, False),
    "avi_not_coded_frames.avi": (5, 5, 10.0, False),
    "chained.opus": (0, 5, 10.0, False),
    "fmp4_joined_late.mp4": (3, 0, 5.8, False),
    "nine_channels.wav": (0, 1, 1.0, False),
    "theora_still_frames.ogv": (2, 0, 2.92, False),
    "threads_decide_rows.mkv": (3, 0, 5.0, True),
    "wav_unknown_length.wav": (0, 2, 3.0, False),
}
REFUSED = {
    "ffconcat_named.mp4": "unreadable",
    "list_utf16.txt": "unreadable",
    "nothing_heard.wav": "empty",
    "sdp_named.mp4": "unreadable",
    "webdataset_dotted_keys.tar": "unreadable",
}
INVENTED = ("time_invented_24h.mkv", "time_invented_46h.mp4")


def case(name: str) -> Path:
    if not (CASES / name).is_file():
        pytest.skip(f"{name} is not there")
    return CASES / name


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_is_right_beside_each_file(name: str, encoder: Encoder) -> None:
    video, audio, seconds, damaged = EMBEDDED[name]
    found = encoder.embed(case(name))
    assert (found.has_video.sum(), found.has_audio.sum()) == (video, audio)
    assert found.duration == pytest.approx(seconds, abs=0.06)
    assert found.damaged is damaged


@pytest.mark.parametrize("name", REFUSED)
def test_what_gives_no_embedding(name: str, encoder: Encoder) -> None:
    for source in (case(name), case(name).read_bytes()):
        (failure,) = encoder.embed_many([source])
        assert isinstance(failure, Failure) and failure.reason == REFUSED[name]
        assert failure.message.endswith(".")


@pytest.mark.parametrize("name", INVENTED)
def test_time_that_no_packet_holds(name: str, encoder: Encoder) -> None:
    found = encoder.embed(case(name))
    assert found.damaged and found.duration < 60 and len(found) <= 30


@pytest.mark.parametrize("name", ["threads_decide_rows.mkv", *INVENTED])
def test_threads_and_workers_decide_nothing(name: str, encoder: Encoder) -> None:
    path = case(name)
    one, two, four = (decode(path, threads=threads) for threads in (1, 2, 4))
    for other in (two, four):
        assert other.frames is not None and one.frames is not None
        assert other.duration == one.duration and (other.frames == one.frames).all()
    whole = encoder.embed(path)
    rows = list(encoder.stream(path))
    (many,) = encoder.embed_many([path], workers=2)
    assert isinstance(many, Embedding) and len(rows) == len(many) == len(whole)
    assert (many.video == whole.video).all() and all(
        (row.video == whole.video[k]).all() for k, row in enumerate(rows)
    )
