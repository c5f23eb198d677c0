"""Decoded frames at their presentation times: where time 0 lies, where each stream ends, what was damaged."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar, cast

import av
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from avfeat.errors import MediaError
from avfeat.media.lengths import cut_in_mid_packet, guesses, stated_end, stated_file_end, states_exact_end
from avfeat.media.source import OpenMedia
from avfeat.media.track import LOWEST_RATE, Frame, Track, packet_time

T = TypeVar("T")

LAG = {"video": 600, "audio": 60}
"""Seconds by which a stream may lag behind the other in the file; beyond, it counts as silent for now.

Encoders look tens of frames ahead, so that a slide show of one frame in ten seconds lags by minutes. Audio that
waits for frames is small; frames that wait for audio are not.
"""

_EARLY = Fraction(1, 2)
_TOLERANCE = Fraction(1, 10)
_APART = 600
_BAD_PACKETS = 1000
_LONGEST_GROUP = 5000
# Broadcasts and bare streams are joined at any time: that they begin inside a group of pictures is no damage.
_JOINED = frozenset(
    {"mpegts", "mpeg", "mpegvideo", "h264", "hevc", "vvc", "m4v", "h261", "h263", "vc1", "cavsvideo"}
)
# Ogg files may be put together (RFC 3533); the time stamps of each begin anew.
_CHAINED = frozenset({"ogg"})


@dataclass(frozen=True)
class Silence:
    """A stream has given no packet for ``LAG`` seconds of the other one; all that it gave is decoded.

    ``end``: presentation time at which it seems to be over, or None if the container says that more will come.
    """

    stream: Stream
    end: Fraction | None


Item = VideoFrame | AudioFrame | Silence


class _SecondPassError(Exception):
    """Several threads have met damage: what they make of it depends on chance."""


@dataclass
class Timeline:
    """One pass over an open file: its frames in order of arrival, then what became known on the way.

    ``frames()`` yields ``(time, frame)`` with ``time`` the presentation time in seconds, 0 at the earliest frame
    or sample of the chosen streams (after edit lists and encoder priming, which FFmpeg's decoders apply).

    What FFmpeg makes of damage depends on how many threads decode. So the first sign of it ends the work of several
    threads: the file is read again by one, and what was given out, which is the same, is passed over.

    Attributes:
        wanted: kinds of stream that are decoded to the end. Of others, the first frame alone: where time 0 lies
            does not depend on what is wanted.
        damage: what was found damaged so far, in words; empty for an intact file.
        video_end: presentation time at which the last frame leaves the screen, once all is decoded.
        audio_end: presentation time of the end of the last sample, once all is decoded.
    """

    media: OpenMedia
    wanted: tuple[str, ...] = ("video", "audio")
    damage: list[str] = field(default_factory=list)
    video_end: Fraction | None = None
    audio_end: Fraction | None = None
    _origin: Fraction = Fraction(0)
    _tracks: dict[int, Track] = field(default_factory=dict)

    def frames(self) -> Iterator[tuple[Fraction, Item]]:
        """Yield every decodable frame with its presentation time; a file that gives none is an error.

        A stream that falls silent (a sparse one, or one that ends long before the other) is reported by a
        ``Silence`` at the time of its last frame, so that nobody has to wait for it; it may go on later.

        Raises:
            MediaError: ``unreadable``, if nothing decodes; ``too_long`` and ``timeout`` by the caller's rules.
        """
        given: Counter[int] = Counter()
        try:
            for index, time, item in self._pass():
                given[index] += 1
                yield time, item
        except _SecondPassError:
            self.media = self.media.again()
        else:
            return
        for index, time, item in self._pass():
            given[index] -= 1
            if given[index] < 0:
                yield time, item

    def _pass(self) -> Iterator[tuple[int, Fraction, Item]]:
        """Everything from the beginning of the file to its end, with the index of the stream."""
        self._tracks = {stream.index: self._track(stream) for stream in self.media.streams}
        packets = self._packets()
        held: deque[Packet[Stream]] = deque()
        first = self._first_frames(packets, held)
        if not first:
            raise MediaError(self.media.name, "unreadable", "nothing in it can be decoded.")
        self._origin = min(time for _, time, _ in first)
        self._tracks = {index: track for index, track in self._tracks.items() if track.stream.type in self.wanted}
        for index, time, frame in _take_all(first):
            if index in self._tracks:
                yield index, time - self._origin, frame
        for packet in itertools.chain(_take_all(held), packets):
            if packet.stream.index not in self._tracks:
                continue
            for index, time, item in self._follow(packet):
                self._check_length(time)
                yield index, time - self._origin, item
        self._finish()

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that are wanted and there."""
        return tuple(stream for stream in self.media.streams if stream.type in self.wanted)

    def duration(self) -> Fraction:
        """End of the later stream, once all is decoded."""
        return max(end for end in (self.video_end, self.audio_end, Fraction(0)) if end is not None)

    def trim(self, stream: Stream, time: Fraction, length: Fraction) -> Fraction | None:
        """How much of a stretch at ``time`` is presented if it is the stream's last, or None if all of it.

        mp4 states where its edit list ends a stream; the decoder gives the encoder's padding beyond it, too.
        """
        stated = self._tracks[stream.index].stated_end
        if stated is None or not states_exact_end(self.media.container):
            return None
        left = stated - self._origin - time
        return left if 0 < left < length else None

    def note(self, what: str) -> None:
        """Add to ``damage``, once."""
        if what not in self.damage:
            self.damage.append(what)

    def _report_damage(self, what: str) -> None:
        """Damage that a decoder has met, or will: from here on, one thread has to do the work."""
        if self.media.several:
            raise _SecondPassError
        self.note(what)

    def _track(self, stream: Stream) -> Track:
        container = self.media.container
        if self.media.states_nothing or guesses(container):
            return Track(stream, None)
        return Track(stream, stated_end(container, stream), stated_file_end(container))

    def _others(self, track: Track) -> Fraction | None:
        """How far the other stream is decoded."""
        return max((t.end for t in self._tracks.values() if t is not track and t.end is not None), default=None)

    def _check_length(self, time: Fraction) -> None:
        limit = self.media.rules.max_duration
        if limit is not None and time - self._origin > Fraction(limit) + _TOLERANCE:
            message = (
                f"lasts longer than the {limit:g} s that max_duration allows; allow more, or embed a part of it."
            )
            raise MediaError(self.media.name, "too_long", message)

    def _first_frames(
        self, packets: Iterable[Packet[Stream]], held: deque[Packet[Stream]]
    ) -> deque[tuple[int, Fraction, Frame]]:
        """Decode until every stream has given a frame: only then is time 0 known.

        A stream that already gave one waits as packets, in ``held``: they are small, frames are not. Streams
        whose first frames lie implausibly far apart are taken to begin together.
        """
        first: deque[tuple[int, Fraction, Frame]] = deque()
        seen: dict[int, Fraction] = {}
        for packet in packets:
            index = packet.stream.index
            if index in seen:
                held.append(packet)
                others = max(LAG[track.stream.type] for k, track in self._tracks.items() if k not in seen)
                if (time := packet_time(packet)) is not None and time > seen[index] + others:
                    break
            elif decoded := list(self._decode(packet)):
                begun = decoded[0][1]
                if seen and abs(begun - min(seen.values())) > _APART:
                    shift = self._rebase(self._tracks[index], min(seen.values()) - begun)
                    begun += shift
                    track = self._tracks[index]
                    track.last_start, track.end, track.claimed_end = begun, begun, begun
                    decoded = [(index, time + shift, frame) for index, time, frame in decoded]
                first += decoded
                seen[index] = begun
            if len(seen) == len(self._tracks):
                break
        return first

    def _packets(self) -> Iterator[Packet[Stream]]:
        """The packets of the chosen streams; what the demuxer cannot read is skipped and noted."""
        bad = 0
        demuxer = self.media.container.demux(*self.media.streams)
        cut: Packet[Stream] | None = None
        while bad < _BAD_PACKETS:
            # Also a stop that PyAV has lost.
            self.media.check()
            try:
                packet = next(demuxer)
            except StopIteration:
                return
            except (av.error.EOFError, IndexError):
                # PyAV stumbles over streams that appear in mid-file, but only after all packets are given.
                return
            except (av.error.FFmpegError, OSError) as error:
                self._report_damage(f"a read error ({error.strerror or error})")
                bad += 1
                # The generator ended with its exception: a new one goes on behind the bad place.
                demuxer = self.media.container.demux(*self.media.streams)
                continue
            if cut is not None and packet.size:
                self._report_damage("a corrupt packet")
            # Where no length is stated, the last packet ends with the file, and FFmpeg takes that for damage.
            cut = packet if packet.is_corrupt and self.media.states_nothing else None
            if packet.is_corrupt and cut is None:
                self._report_damage("a corrupt packet")
            yield packet

    def _follow(self, packet: Packet[Stream]) -> Iterator[tuple[int, Fraction, Item]]:
        """Decode a packet; look whether the other stream has fallen silent meanwhile."""
        yield from self._decode(packet)
        time = packet_time(packet)
        if time is None:
            return
        self._tracks[packet.stream.index].read = time
        for track in self._tracks.values():
            if track.read is None:
                track.read = min(time, self._origin)
            if not track.silent and time > track.read + LAG[track.stream.type]:
                yield from self._drain(track)

    def _drain(self, track: Track) -> Iterator[tuple[int, Fraction, Item]]:
        """Take out what the decoder of a silent stream still holds."""
        track.silent = True
        yield from self._place_all(track, lambda: cast(Any, track.stream.codec_context).decode(None))
        last = self._origin if track.claimed_end is None else track.claimed_end
        more = track.stated_end is not None and track.stated_end > last + _EARLY
        yield track.stream.index, last, Silence(track.stream, None if more else last - self._origin)

    def _decode(self, packet: Packet[Stream]) -> Iterator[tuple[int, Fraction, Frame]]:
        track = self._tracks[packet.stream.index]
        if track.silent and packet.size:
            self._wake(track)
        time = packet_time(packet)
        track.begin(packet)
        if not packet.size and time is not None:
            # Theora, VP8 and AVI: the frame before stays. The decoder would take it for the end.
            self._stay(track, packet)
            return
        if packet.is_keyframe:
            track.group.clear()
        if len(track.group) < _LONGEST_GROUP:
            track.group.append(packet)
        if packet.size and not packet.is_discard:
            track.fed.append(packet.pts)
        given = False
        for placed in self._place_all(track, packet.decode):
            given = True
            yield placed
        if not given:
            self._stay(track, packet)

    def _stay(self, track: Track, packet: Packet[Stream]) -> None:
        """A packet without a frame covers its time: the one before stays on screen."""
        stamp = packet.dts if self._in_avi(track) else packet.pts
        if stamp is not None and not packet.is_discard and track.stream.type == "video":
            track.stay((stamp + (packet.duration or 0)) * Fraction(packet.time_base) + track.offset)

    def _wake(self, track: Track) -> None:
        """A silent stream goes on: its drained decoder is reset and brought back to where it was."""
        track.silent = False
        track.given = track.last_start
        track.stream.codec_context.flush_buffers()
        for packet in track.group:
            # Its frames were given out before the silence; those that come late are known by their time.
            with suppress(av.error.FFmpegError):
                packet.decode()

    def _place_all(self, track: Track, decode: Callable[[], list[Any]]) -> Iterator[tuple[int, Fraction, Frame]]:
        try:
            frames = decode()
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            self._report_damage(f"a decode error ({error.strerror or error})")
            return
        for frame in frames:
            if not isinstance(frame, VideoFrame | AudioFrame):
                continue
            if frame.is_corrupt and self.media.several:
                raise _SecondPassError
            track.got.append(frame.pts)
            time = self._place(track, frame)
            if time is None:
                continue
            if not frame.is_corrupt:
                track.intact = True
            elif track.intact:
                # Before the first intact frame it is no damage: a stream may be cut inside a group of pictures.
                self.note("a decode error (a frame is incomplete)")
            yield track.stream.index, time, frame

    def _place(self, track: Track, frame: Frame) -> Fraction | None:
        """The frame's time on the stream's clock; None for a time, or a rate, that cannot be."""
        if isinstance(frame, AudioFrame) and frame.sample_rate < LOWEST_RATE:
            self.note(f"audio of {frame.sample_rate} samples a second")
            return None
        time = self._stamp(track, frame)
        if track.given is not None and time <= track.given:
            return None
        others = self._others(track)
        if track.jumps(time, others):
            assert track.end is not None
            time += self._rebase(track, track.end - time)
        elif track.end is None:
            self._check_beginning(track, time)
        track.put(time, frame, others)
        return time

    def _stamp(self, track: Track, frame: Frame) -> Fraction:
        """Where the frame's own time stamp puts it."""
        stamp = track.avi_stamp(frame) if self._in_avi(track) else frame.pts
        if stamp is not None and frame.time_base is not None:
            return stamp * Fraction(frame.time_base) + track.offset
        return min(track.end or Fraction(0), track.claimed_end or Fraction(0))

    def _in_avi(self, track: Track) -> bool:
        return track.stream.type == "video" and self.media.container.format.name == "avi"

    def _rebase(self, track: Track, shift: Fraction) -> Fraction:
        """Time stamps that jump (files put together, broken ones) are moved to where the stream is."""
        if not (shift > 0 and self.media.container.format.name in _CHAINED):
            self.note(f"the time stamps of the {track.stream.type} jump")
        track.offset += shift
        return shift

    def _check_beginning(self, track: Track, time: Fraction) -> None:
        """The first frame: whether frames before it could not be decoded, for want of a key frame."""
        video = track.stream.type == "video" and self.media.container.format.name not in _JOINED
        if video and track.begun is not None and not track.begun[1] and track.begun[0] < time:
            self.note("the video begins inside a group of pictures")

    def _finish(self) -> None:
        known = len(self.damage)
        self._close()
        self._check_file()
        if self.media.several and (len(self.damage) > known or self._lost_frames()):
            # One thread will find more, and in another order.
            del self.damage[known:]
            raise _SecondPassError
        self._check_length(self._origin + self.duration())

    def _lost_frames(self) -> bool:
        return any(track.lost_at_the_end() for track in self._tracks.values() if track.stream.type == "video")

    def _close(self) -> None:
        """Where each stream ends."""
        ends: dict[str, Fraction] = {}
        for track in self._tracks.values():
            track.settle(self._others(track))
            if track.end is None or track.last_start is None:
                if track.stated_end is not None:
                    self.note(f"the {track.stream.type} stream gives nothing")
                continue
            shown = self.trim(track.stream, track.last_start - self._origin, track.end - track.last_start)
            end = track.end if shown is None else track.last_start + shown
            ends[track.stream.type] = end - self._origin
            if track.stated_end is not None and end < track.stated_end - _EARLY:
                self.note(f"the {track.stream.type} stream ends early")
        self.video_end = ends.get("video")
        self.audio_end = ends.get("audio")

    def _check_file(self) -> None:
        """Whether the file as a whole ends early."""
        container = self.media.container
        if cut_in_mid_packet(container):
            self.note("the file ends in the middle of a packet")
        stated = stated_file_end(container)
        if stated is None or self.damage or self.media.states_nothing or guesses(container):
            return
        if self.duration() + self._origin < stated - _EARLY and self._holds_the_longest():
            self.note("the file ends early")

    def _holds_the_longest(self) -> bool:
        """Whether the container's duration speaks of the chosen streams (and not of a longer subtitle, say)."""
        return len(self.media.container.streams) == len(self._tracks)


def _take_all(items: deque[T]) -> Iterator[T]:
    """The items in order, each let go as it is taken."""
    while items:
        yield items.popleft()
