from __future__ import annotations

import ctypes
import io
import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from avfeat.media import decode
from avfeat.media.reads import ForwardReader, SeekableReader, StoppedReadError, deliver_stop
from avfeat.stop import forget_stop, stop_with

READERS: list[Callable[[io.BytesIO], SeekableReader | ForwardReader]] = [SeekableReader, ForwardReader]
readers = pytest.mark.parametrize("reader", READERS, ids=["seekable", "forward"])


@pytest.fixture
def ours() -> Iterator[None]:
    """SIGINT as the command line has it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        stop_with(KeyboardInterrupt(), frame)

    before = signal.signal(signal.SIGINT, interrupt)
    yield
    signal.signal(signal.SIGINT, before)
    forget_stop()


def read_while_a_signal_waits(file: SeekableReader | ForwardReader) -> list[bytes]:
    """As FFmpeg reads: nothing of Python runs between the signal and the read."""
    interrupt = ctypes.pythonapi.PyErr_SetInterrupt
    interrupt.restype = ctypes.c_int
    return list(map(file.read, itertools.starmap(interrupt, [()])))


@readers
def test_a_signal_that_waits_for_the_read_is_carried(
    ours: None, reader: Callable[..., SeekableReader | ForwardReader]
) -> None:
    file = reader(io.BytesIO(b"abc"))
    with pytest.raises(StoppedReadError) as caught:
        read_while_a_signal_waits(file)
    assert isinstance(caught.value.cause, KeyboardInterrupt)
    # FFmpeg may read again before it gives up: it finds the end. Others are stopped, too, until it is forgotten.
    assert file.read(2) == b""
    other = reader(io.BytesIO(b"abc"))
    forget_stop()
    assert other.read(2) == b"ab"


@readers
def test_what_another_handler_raises_there_is_not_ours_to_keep(
    reader: Callable[..., SeekableReader | ForwardReader],
) -> None:
    """Why ``stop_with`` is needed: no ``try`` of the read sees it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            read_while_a_signal_waits(reader(io.BytesIO(b"abc")))
    finally:
        signal.signal(signal.SIGINT, before)


def test_elsewhere_a_handler_raises_at_once(ours: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(SystemExit):
        stop_with(SystemExit(3), None)


def test_a_stop_that_was_lost_is_raised_again(ours: None, clip: Path) -> None:
    """As PyAV loses one that comes while its own code runs: the next packet raises it."""
    with pytest.raises(KeyboardInterrupt):
        stop_with(KeyboardInterrupt(), None)
    for source in (clip, clip.read_bytes(), io.BytesIO(clip.read_bytes())):
        with pytest.raises(KeyboardInterrupt):
            decode(source)
    forget_stop()
    assert len(decode(clip).frames)


class Cancelled(BaseException):
    """As of an event loop."""


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143), Cancelled()])
def test_what_is_carried_is_delivered_as_it_was(stop: BaseException) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise stop

        def read1(self, size: int = -1) -> bytes:
            raise stop

    for reader in READERS:
        with pytest.raises(type(stop)) as caught, deliver_stop():
            reader(Broken()).read(1)
        assert caught.value is stop


def test_other_errors_are_themselves_every_time() -> None:
    class Broken(io.BytesIO):
        def read1(self, size: int = -1) -> bytes:
            raise OSError("gone")

    file = ForwardReader(Broken())
    file.unread(b"head")
    assert file.read(2) == b"he" and file.read(-1) == b"ad"
    for _ in range(2):
        with pytest.raises(OSError, match="gone"), deliver_stop():
            file.read(1)
