"""Whatever is given to the public calls, what comes out is an ``AvfeatError`` or a result."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import AudioTrack, VideoTrack, make_media

import avfeat
from avfeat import ArgumentError, AvfeatError, Encoder, MediaError
from avfeat.media import decode, probe

NAN = math.nan
ODD: list[Any] = [
    None, True, -1, -0.5, 0, 1.5, NAN, math.inf, -math.inf, 1e300, 10**400, "x", "1", b"1", [], [1], {}, object(),
    np.float32(NAN), np.int64(-3), np.array([1, 2]), np.array(0.5), np.array([]), np.datetime64("2020"), 1j,
    date(2020, 1, 1), Path("x"), np.bool_(True), io.BytesIO(b"zz"), lambda: 1,
]  # fmt: skip
TEXTS = st.text(max_size=9), st.binary(max_size=9)
ANYTHING = st.one_of(st.sampled_from(ODD), st.integers(), st.floats(), *TEXTS, st.complex_numbers())
FEW = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_media(tmp_path_factory.mktemp("odd") / "a.mkv", VideoTrack(0.5), AudioTrack(0.5))


def check(call: Callable[[], Any]) -> None:
    """Make a call, and take what it gives."""
    try:
        result = call()
        if hasattr(result, "__next__"):
            list(result)
    except AvfeatError as error:
        assert str(error) and len(str(error)) < 2000


@FEW
@given(st.sampled_from(["hop", "start", "end"]), ANYTHING)
def test_times(encoder: Encoder, name: str, value: Any) -> None:
    # Any number of windows may be asked for: only what makes no grid is of interest here.
    times = {"hop": None, "start": 0.0, "end": None, name: value}
    check(lambda: encoder.check_times(times["hop"], times["start"], times["end"]))


RULES = ["max_pixels", "max_duration", "timeout", "audio_track", "video_track", "still", "playlist", "strict"]


@FEW
@given(st.sampled_from(RULES), ANYTHING)
def test_rules(encoder: Encoder, media: Path, name: str, value: Any) -> None:
    check(lambda: encoder.embed(media, **{name: value}))


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", ["workers", "isolate"])
def test_jobs(encoder: Encoder, name: str, value: Any) -> None:
    check(lambda: encoder.embed_many([b"no media"], **{name: value}))


@FEW
@given(st.sampled_from(["fps", "size", "sample_rate", "threads", "aspect"]), ANYTHING)
def test_decoding(media: Path, name: str, value: Any) -> None:
    check(lambda: decode(media, **{name: value}))


@FEW
@given(st.sampled_from(["frames", "fps", "waveform", "sample_rate", "duration"]), ANYTHING)
def test_arrays(encoder: Encoder, name: str, value: Any) -> None:
    arrays = {"frames": np.zeros((4, 16, 16, 3), np.uint8), "fps": 8, "waveform": np.zeros(8000, np.float32)}
    check(lambda: encoder.embed_arrays(**{**arrays, "sample_rate": 16_000, "end": 1.0, name: value}))


@pytest.mark.parametrize("shape", [(2, 1, 20_000, 3), (1, 1, 1, 3), (0, 8, 8, 3), (2, 8, 8, 4), (3, 8, 8)])
def test_frames_of_odd_shapes(encoder: Encoder, shape: tuple[int, ...]) -> None:
    check(lambda: encoder.embed_arrays(np.zeros(shape, np.uint8), 8, None, None))


@FEW
@given(st.sampled_from(["bundle", "device", "backend", "threads"]), ANYTHING)
def test_loading(name: str, value: Any) -> None:
    if name in ("bundle", "threads") and (value is None or (type(value) is int and 1 <= value <= 4096)):
        return
    with pytest.raises(AvfeatError):
        avfeat.load(**{name: value})


@pytest.mark.parametrize("value", [*ODD, "x" * 5000, "a\0b", "", b"base"], ids=lambda value: type(value).__name__)
def test_bundles_that_are_none(value: Any) -> None:
    with pytest.raises(AvfeatError):
        avfeat.Bundle.open(value)
    if value is not None:
        with pytest.raises(AvfeatError):
            avfeat.load(value)


class Lying(io.BytesIO):
    """A file object that gives, or raises, something else than bytes."""

    def __init__(self, answer: Any, seeks: bool) -> None:
        super().__init__()
        self.answer, self.seeks = answer, seeks

    def seekable(self) -> bool:
        return self.seeks

    def read(self, size: int | None = -1) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    read1 = read


def closed() -> io.BytesIO:
    file = io.BytesIO(b"abc")
    file.close()
    return file


ANSWERS: list[Any] = ["text", None, 7, OSError("gone"), ValueError("boom"), TypeError("boom"), KeyError("boom")]
SOURCES = [
    *ODD, "", "a\0b", "x" * 5000, "a\ud800b", b"", bytes(99), bytearray(b"abc"), memoryview(b"abc"),
    io.StringIO("x"), closed(), np.zeros(4, np.uint8), "/dev/null", ".", Path(),
    *(Lying(answer, seeks) for seeks in (False, True) for answer in ANSWERS),
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=lambda value: type(value).__name__)
def test_sources(encoder: Encoder, source: Any) -> None:
    for call in (encoder.embed, encoder.stream, decode, probe):
        with pytest.raises(AvfeatError):
            found = call(source)
            list(found)  # type: ignore[call-overload]
    try:
        (result,) = encoder.embed_many([source])
    except ArgumentError:
        return
    assert isinstance(result, avfeat.Failure)


def test_a_source_that_fails_in_its_middle_is_damaged(encoder: Encoder, media: Path) -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > len(self.getvalue()) // 2:
                raise KeyError("torn")
            return super().read(size)

    try:
        assert encoder.embed(Torn(media.read_bytes())).damaged
    except MediaError as error:
        assert error.reason == "unreadable"


@pytest.mark.parametrize("sources", ["a.mp4", b"bytes", Path("a.mp4"), io.BytesIO(b"x"), None, 7, NAN, object()])
def test_one_source_is_not_many(encoder: Encoder, sources: Any) -> None:
    with pytest.raises(ArgumentError, match=r"embed_many takes many sources|sources must be"):
        encoder.embed_many(sources)


def test_a_closed_encoder_says_so(media: Path) -> None:
    encoder = avfeat.load(threads=1)
    begun, many = encoder.stream(media), encoder.embed_many([media] * 3)
    encoder.close()
    calls: list[Callable[[], Any]] = [
        lambda: encoder.embed(media),
        lambda: list(encoder.stream(media)),
        lambda: list(begun),
        lambda: list(many),
        lambda: encoder.embed_arrays(None, None, np.zeros(99, np.float32), 16_000),
    ]
    for call in calls:
        with pytest.raises(ArgumentError, match="closed; load another one"):
            call()


def test_an_encoder_that_is_closed_at_work_says_so(media: Path) -> None:
    encoder = avfeat.load(threads=2)
    begun, many = encoder.stream(media), encoder.embed_many([media] * 40)
    next(begun), next(many)
    encoder.close()
    for results in (begun, many):
        check(lambda results=results: list(results))


def test_a_long_value_is_cut_in_the_message(encoder: Encoder) -> None:
    with pytest.raises(ArgumentError, match=r"hop must be a number of seconds .* \.\.\.\.$"):
        encoder.check_times("x" * 5000)  # type: ignore[arg-type]
