"""What containers state of their length: which of them state nothing at all, and how statements are meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from av.container import InputContainer
from av.stream import Stream

# Who writes to a pipe cannot come back to fill in a size: it is 0, all bits, or next to the largest number
# (FFmpeg: all bits; SoX: 0x7ffff000 and the header; arecord: 0x80000000). Real files end below.
_ENDLESS_32 = 0x7FFF0000
_ENDLESS_64 = 1 << 60
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
# Formats without a header: FFmpeg guesses their duration from the size and the first bit rate.
_GUESSED = frozenset({"aac", "ac3", "eac3", "mp3", "dts", "loas"})


def states_nothing(head: bytes) -> bool:
    """Whether a file that begins with ``head`` was written to a pipe, so that its length is a placeholder.

    Knows WAV, RF64, AVI, W64, AU, CAF and AIFF.
    """
    if len(head) < 12:
        return False
    if head[:4] in (b"RIFF", b"RIFX"):
        order = "little" if head[:4] == b"RIFF" else "big"
        return any(size == 0 or size >= _ENDLESS_32 for size in _riff_sizes(head, order))
    if head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64":
        return _endless_64(int.from_bytes(head[28:36], "little"))
    if head[:16] == _W64_RIFF:
        at = head.find(_W64_DATA, 40)
        sizes = [head[16:24]] + ([head[at + 16 : at + 24]] if at >= 0 else [])
        # A W64 size counts its own 24 bytes of header.
        return any(_endless_64(max(0, int.from_bytes(size, "little") - 24)) for size in sizes)
    if head[:4] == b".snd":
        return int.from_bytes(head[8:12], "big") >= _ENDLESS_32
    if head[:4] == b"caff":
        at = head.find(b"data", 8)
        return at >= 0 and _endless_64(int.from_bytes(head[at + 4 : at + 12], "big"))
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        size = int.from_bytes(head[4:8], "big")
        return size <= 4 or size >= _ENDLESS_32
    return False


def guesses(container: InputContainer) -> bool:
    """Whether the container's duration is FFmpeg's guess."""
    return container.format.name in _GUESSED


def stated_end(container: InputContainer, stream: Stream) -> Fraction | None:
    """Where the container says that ``stream`` ends on its own clock, None if it says nothing."""
    if stream.duration and stream.time_base is not None:
        # In a fragmented mp4 the fragments' times count from 0, wherever the first one at hand begins.
        start = 0 if _is_fragmented(container, stream) else stream.start_time or 0
        return Fraction(start + stream.duration) * Fraction(stream.time_base)
    # Matroska states the end of a stream in a tag: "00:01:02.345000000".
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", ""))
    if tag is None:
        return None
    hours, minutes, seconds = tag.groups()
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)


def stated_file_end(container: InputContainer) -> Fraction | None:
    """Where the container says that the file ends, at least: what begins late may be meant to end later."""
    return Fraction(container.duration, 1_000_000) if container.duration else None


def states_exact_end(container: InputContainer) -> bool:
    """Whether the container's ends are exact: mp4 says where an edit list ends a stream."""
    return "mp4" in container.format.name.split(",")


def cut_in_mid_packet(container: InputContainer) -> bool:
    """Whether a transport stream is no whole number of its packets (of 188, 192 or 204 bytes)."""
    size = container.size
    return container.format.name == "mpegts" and size > 0 and all(size % packet for packet in (188, 192, 204))


def _is_fragmented(container: InputContainer, stream: Stream) -> bool:
    """Whether it is an mp4 whose index knows no frame of the stream: all of them lie in fragments."""
    return states_exact_end(container) and stream.frames == 0


def _riff_sizes(head: bytes, order: str) -> Iterator[int]:
    """The size of the whole, and that of a WAV's data if it begins in ``head``."""
    little = order == "little"
    yield int.from_bytes(head[4:8], "little" if little else "big")
    position = 12
    while head[8:12] == b"WAVE" and position + 8 <= len(head):
        size = int.from_bytes(head[position + 4 : position + 8], "little" if little else "big")
        if head[position : position + 4] == b"data":
            yield size
            return
        position += 8 + size + size % 2


def _endless_64(size: int) -> bool:
    return size == 0 or size >= _ENDLESS_64
