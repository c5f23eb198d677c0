"""One stream while it is decoded: where its frames lie in time, and how much of that is to be believed.

A time stamp is a claim, and one flipped bit of it is hours. What is believed follows from what was read: a frame
may stay for 10 s; what stays longer is believed where the other stream has been read up to there, and else for 10
minutes at most, as long as all of the stream is not longer than 10 s a frame and 10 minutes besides. Slides, idle
screens and live pauses are within that. Any other step ahead is taken for a broken one, and the stream goes on
where it was.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

Frame = VideoFrame | AudioFrame

NOMINAL = Fraction(1, 25)
LOWEST_RATE = 1000
"""Samples a second below which there is no audio: what claims fewer would make hours of a few bytes."""

_REORDERED = frozenset({"h264", "hevc", "vvc"})
_BRIEF = Fraction(10)
_LONG = Fraction(600)
_BACK = Fraction(1)
_BEYOND = Fraction(60)
_APART = Fraction(60)
_IN_FLIGHT = 48
"""Packets that decoding threads, and frames that wait for their turn, may hold at the end."""
_MOST_BEFORE = 600
"""Packets before the first frame whose times are kept."""


@dataclass
class Track:
    """What is known of one stream while it is decoded; times are seconds of the stream's own clock.

    Attributes:
        stream: the stream.
        stated_end: where the container says that it ends.
        file_end: where the container says that the file ends, at least.
        end: where what has been decoded ends, as far as that is believed.
        claimed_end: where the last frame says that it ends.
        last_start: where the last decoded frame begins.
        begun: presentation time of the first packet, and whether it was a key frame.
        read: decoding time of the last packet.
        silent: nothing has come for a while, and the decoder is drained.
        given: the frames up to here were given out before the last silence.
        intact: a frame without errors has been decoded.
        group: the packets since the last key frame: what it takes to start the decoder again.
        offset: what makes up for time stamps that jumped.
        decoding: decoding times of an AVI's packets by their presentation times, until the first frame comes.
        reorder: by how much decoding times run ahead of the frames that come out.
        spare: seconds that frames may yet stay without any proof.
        fed: time stamps of the last packets that were decoded.
        got: time stamps of the last frames that came of them.
    """

    stream: Stream
    stated_end: Fraction | None
    file_end: Fraction | None = None
    end: Fraction | None = None
    claimed_end: Fraction | None = None
    last_start: Fraction | None = None
    begun: tuple[Fraction, bool] | None = None
    read: Fraction | None = None
    silent: bool = False
    given: Fraction | None = None
    intact: bool = False
    group: list[Packet[Stream]] = field(default_factory=list)
    offset: Fraction = Fraction(0)
    decoding: dict[int, int] = field(default_factory=dict)
    reorder: int | None = None
    spare: Fraction = _LONG
    fed: deque[int | None] = field(default_factory=lambda: deque(maxlen=_IN_FLIGHT))
    got: deque[int | None] = field(default_factory=lambda: deque(maxlen=4 * _IN_FLIGHT))

    def begin(self, packet: Packet[Stream]) -> None:
        """Take note of a packet that is going to be decoded, up to the first frame."""
        if self.end is not None or not packet.size or packet.is_discard or packet.pts is None:
            return
        if self.begun is None:
            self.begun = packet.pts * Fraction(packet.time_base), packet.is_keyframe
        if packet.dts is not None and len(self.decoding) < _MOST_BEFORE:
            self.decoding[packet.pts] = packet.dts

    def avi_stamp(self, frame: Frame) -> int | None:
        """The time stamp of a frame of an AVI, in which packets have no presentation times.

        FFmpeg makes them up, and is right, but for codecs whose frames it cannot put in order. Those come out in
        order, at the decoding times of later packets: by how many is seen at the first frame.
        """
        if self.stream.codec_context.name not in _REORDERED:
            return frame.pts
        if frame.dts is None:
            return None
        if self.reorder is None:
            self.reorder = frame.dts - self.decoding.get(frame.pts or 0, frame.dts)
        return frame.dts - self.reorder

    def jumps(self, time: Fraction, others: Fraction | None) -> bool:
        """Whether a frame cannot be at ``time``, so that its stamp is broken or begins anew.

        Args:
            time: where its stamp puts it.
            others: how far the other stream is decoded, if there is one.
        """
        if self.end is None or self.last_start is None:
            return False
        if time < min(self.end, self.last_start + _BACK) - _BACK:
            return True
        gap = time - self.end
        self.spare += _BRIEF
        if gap <= 0 or self._is_proven(time, others):
            return False
        if gap > _BRIEF and (gap > self._longest(time) or gap > self.spare):
            return True
        self.spare -= gap
        return False

    def put(self, time: Fraction, frame: Frame, others: Fraction | None) -> None:
        """Take note of a frame at ``time``."""
        claimed = frame_duration(self.stream, frame)
        believed = claimed
        if claimed > _BRIEF and not self._is_proven(time + claimed, others):
            believed = claimed if claimed <= min(self._longest(time + claimed), self.spare) else NOMINAL
        self.spare -= believed
        self.last_start = time
        self.claimed_end = max(self.claimed_end or time, time + claimed)
        self.end = max(self.end or time, time + believed)

    def lost_at_the_end(self) -> bool:
        """Whether some of the last packets gave no frame: what several threads meet at the end, they do not say."""
        return not set(self.fed) <= set(self.got)

    def stay(self, until: Fraction) -> None:
        """A packet that gives no frame: the last one stays on screen."""
        if self.end is not None and self.end < until <= self.end + min(_BRIEF, self.spare):
            self.spare -= until - self.end
            self.end = until

    def settle(self, others: Fraction | None) -> None:
        """All is read: the last frame stays as long as it says, where the other stream proves it."""
        if self.end is not None and self.claimed_end is not None and others is not None:
            self.end = max(self.end, min(self.claimed_end, others))

    def _longest(self, time: Fraction) -> Fraction:
        """Seconds that a frame may stay up to ``time``: fewer beyond what the container says to be the end."""
        stated = self.stated_end if self.stated_end is not None else self.file_end
        return _BEYOND if stated is not None and time > stated else _LONG

    def _is_proven(self, time: Fraction, others: Fraction | None) -> bool:
        return others is not None and time <= others + _APART


def frame_duration(stream: Stream, frame: Frame) -> Fraction:
    """How long a frame says that it lasts."""
    if isinstance(frame, AudioFrame):
        return Fraction(frame.samples, frame.sample_rate)
    if frame.duration and frame.time_base is not None:
        return frame.duration * Fraction(frame.time_base)
    rate = stream.guessed_rate or stream.average_rate
    return 1 / Fraction(rate) if rate else NOMINAL


def packet_time(packet: Packet[Stream]) -> Fraction | None:
    """The decoding time of a packet, or what comes nearest to it."""
    stamp = packet.dts if packet.dts is not None else packet.pts
    return None if stamp is None else stamp * Fraction(packet.time_base)
