"""Decoded frames at their presentation times: where time 0 lies, where each stream ends, what was damaged."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar, cast

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from avfeat.errors import MediaError
from avfeat.media.source import OpenMedia
from avfeat.stop import raise_if_stopped

T = TypeVar("T")
Frame = VideoFrame | AudioFrame

LAG = {"video": 600, "audio": 60}
"""Seconds by which a stream may lag behind the other in the file; beyond, it counts as silent for now.

Encoders look tens of frames ahead, so that a slide show of one frame in ten seconds lags by minutes. Sound that
waits for pictures is small; pictures that wait for sound are not.
"""

_EARLY = Fraction(1, 2)
_JUMP = 60
_JUMP_UNKNOWN = 3600
_BACK = 1
_APART = 600
_LONGEST_FRAME = 24 * 3600
_NOMINAL = Fraction(1, 25)
_BAD_PACKETS = 1000
_LONGEST_GROUP = 5000
# Formats without a header: FFmpeg guesses their duration from the size and the first bit rate.
_GUESSED = frozenset({"aac", "ac3", "eac3", "mp3", "dts", "loas"})


@dataclass
class _Track:
    """What is known of one stream while it is decoded; times are seconds of the stream's own clock.

    Attributes:
        stream: the stream.
        stated_end: where the container says that it ends.
        end: where what has been decoded ends.
        last_start: where the last decoded frame begins.
        read: decoding time of the last packet.
        silent: nothing has come for a while, and the decoder is drained.
        given: the frames up to here were given out before the last silence.
        intact: a frame without errors has been decoded.
        group: the packets since the last key frame: what it takes to start the decoder again.
        offset: what makes up for time stamps that jumped.
        stamps: decoding times of packets whose frames are still to come, where there are no presentation times.
    """

    stream: Stream
    stated_end: Fraction | None
    end: Fraction | None = None
    last_start: Fraction | None = None
    read: Fraction | None = None
    silent: bool = False
    given: Fraction | None = None
    intact: bool = False
    group: list[Packet[Stream]] = field(default_factory=list)
    offset: Fraction = Fraction(0)
    stamps: deque[Fraction] = field(default_factory=deque)


@dataclass(frozen=True)
class Silence:
    """A stream has given no packet for ``LAG`` seconds of the other one; all that it gave is decoded.

    ``end``: presentation time at which it seems to be over, or None if the container says that more will come.
    """

    stream: Stream
    end: Fraction | None


@dataclass
class Timeline:
    """One pass over an open file: its frames in order of arrival, then what became known on the way.

    ``frames()`` yields ``(time, frame)`` with ``time`` the presentation time in seconds, 0 at the earliest frame
    or sample of the chosen streams (after edit lists and encoder priming, which FFmpeg's decoders apply).

    Attributes:
        damage: what was found damaged so far, in words; empty for an intact file.
        video_end: presentation time at which the last frame leaves the screen, once all is decoded.
        audio_end: presentation time of the end of the last sample, once all is decoded.
    """

    media: OpenMedia
    damage: list[str] = field(default_factory=list)
    video_end: Fraction | None = None
    audio_end: Fraction | None = None
    _origin: Fraction = Fraction(0)
    _tracks: dict[int, _Track] = field(default_factory=dict)

    def frames(self) -> Iterator[tuple[Fraction, VideoFrame | AudioFrame | Silence]]:
        """Yield every decodable frame with its presentation time; a file that gives none is an error.

        A stream that falls silent (a sparse one, or one that ends long before the other) is reported by a
        ``Silence`` at the time of its last frame, so that nobody has to wait for it; it may go on later.

        Raises:
            MediaError: ``unreadable``, if nothing decodes.
        """
        guessed = self.media.container.format.name in _GUESSED
        self._tracks = {
            stream.index: _Track(stream, None if guessed else _stated_end(stream)) for stream in self.media.streams
        }
        packets = self._packets()
        held: deque[Packet[Stream]] = deque()
        first = self._first_frames(packets, held)
        if not first:
            raise MediaError(self.media.name, "unreadable", "nothing in it can be decoded.")
        self._origin = min(time for time, _ in first)
        for time, frame in _taken(first):
            yield time - self._origin, frame
        for packet in itertools.chain(_taken(held), packets):
            for time, item in self._follow(packet):
                yield time - self._origin, item
        self._finish()

    def duration(self) -> Fraction:
        """End of the later stream, once all is decoded."""
        return max(end for end in (self.video_end, self.audio_end, Fraction(0)) if end is not None)

    def trim(self, stream: Stream, time: Fraction, length: Fraction) -> Fraction | None:
        """How much of a stretch at ``time`` is presented if it is the stream's last, or None if all of it.

        mp4 states where its edit list ends a stream; the decoder gives the encoder's padding beyond it, too.
        """
        stated = self._tracks[stream.index].stated_end
        if stated is None or not _states_exact_end(self.media):
            return None
        left = stated - self._origin - time
        return left if 0 < left < length else None

    def _first_frames(
        self, packets: Iterable[Packet[Stream]], held: deque[Packet[Stream]]
    ) -> deque[tuple[Fraction, Frame]]:
        """Decode until every stream has given a frame: only then is time 0 known.

        A stream that already gave one waits as packets, in ``held``: they are small, frames are not. Streams
        whose first frames lie implausibly far apart are taken to begin together.
        """
        first: deque[tuple[Fraction, Frame]] = deque()
        seen: dict[int, Fraction] = {}
        for packet in packets:
            index = packet.stream.index
            if index in seen:
                held.append(packet)
                others = max(LAG[track.stream.type] for k, track in self._tracks.items() if k not in seen)
                if (time := _packet_time(packet)) is not None and time > seen[index] + others:
                    break
            elif decoded := list(self._decode(packet)):
                begun = decoded[0][0]
                if seen and abs(begun - min(seen.values())) > _APART:
                    shift = self._rebase(self._tracks[index], min(seen.values()) - begun)
                    begun += shift
                    track = self._tracks[index]
                    track.last_start, track.end = begun, begun
                    decoded = [(time + shift, frame) for time, frame in decoded]
                first += decoded
                seen[index] = begun
            if len(seen) == len(self._tracks):
                break
        return first

    def _packets(self) -> Iterator[Packet[Stream]]:
        """The packets of the chosen streams; what the demuxer cannot read is skipped and noted."""
        bad = 0
        demuxer = self.media.container.demux(*self.media.streams)
        while bad < _BAD_PACKETS:
            # One that PyAV has lost.
            raise_if_stopped()
            try:
                packet = next(demuxer)
            except StopIteration:
                return
            except (av.error.EOFError, IndexError):
                # PyAV stumbles over streams that appear in mid-file, but only after all packets are given.
                return
            except (av.error.FFmpegError, OSError) as error:
                self.note(f"a read error ({error.strerror or error})")
                bad += 1
                # The generator ended with its exception: a new one goes on behind the bad place.
                demuxer = self.media.container.demux(*self.media.streams)
                continue
            if packet.is_corrupt:
                self.note("a corrupt packet")
            yield packet

    def _follow(self, packet: Packet[Stream]) -> Iterator[tuple[Fraction, Frame | Silence]]:
        """Decode a packet; look whether the other stream has fallen silent meanwhile."""
        yield from self._decode(packet)
        time = _packet_time(packet)
        if time is None:
            return
        self._tracks[packet.stream.index].read = time
        for track in self._tracks.values():
            if track.read is None:
                track.read = min(time, self._origin)
            if not track.silent and time > track.read + LAG[track.stream.type]:
                yield from self._drain(track)

    def _drain(self, track: _Track) -> Iterator[tuple[Fraction, Frame | Silence]]:
        """Take out what the decoder of a silent stream still holds."""
        track.silent = True
        yield from self._place_all(track, lambda: cast(Any, track.stream.codec_context).decode(None))
        last = self._origin if track.end is None else track.end
        more = track.stated_end is not None and track.stated_end > last + _EARLY
        yield last, Silence(track.stream, None if more else last - self._origin)

    def _decode(self, packet: Packet[Stream]) -> Iterator[tuple[Fraction, Frame]]:
        track = self._tracks[packet.stream.index]
        if track.silent and packet.size:
            self._wake(track)
        if self._without_presentation_times(track) and packet.size and packet.dts is not None:
            track.stamps.append(packet.dts * Fraction(packet.time_base))
        if packet.is_keyframe:
            track.group.clear()
        if len(track.group) < _LONGEST_GROUP:
            track.group.append(packet)
        yield from self._place_all(track, packet.decode)

    def _wake(self, track: _Track) -> None:
        """A silent stream goes on: its drained decoder is reset and brought back to where it was."""
        track.silent = False
        track.given = track.last_start
        track.stream.codec_context.flush_buffers()
        for packet in track.group:
            # Its frames were given out before the silence; those that come late are known by their time.
            with suppress(av.error.FFmpegError):
                packet.decode()

    def _place_all(self, track: _Track, decode: Callable[[], list[Any]]) -> Iterator[tuple[Fraction, Frame]]:
        try:
            frames = decode()
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            self.note(f"a decode error ({error.strerror or error})")
            return
        for frame in frames:
            if not isinstance(frame, VideoFrame | AudioFrame):
                continue
            time = self._place(track, frame)
            if time is None:
                continue
            if not frame.is_corrupt:
                track.intact = True
            elif track.intact:
                # Before the first intact frame it is no damage: a stream may be cut inside a group of pictures.
                self.note("a decode error (a frame is incomplete)")
            yield time, frame

    def _place(self, track: _Track, frame: Frame) -> Fraction | None:
        """The frame's time on the stream's clock; None for a time that cannot be."""
        if track.stamps:
            time = track.stamps.popleft() + track.offset
        elif frame.pts is not None and frame.time_base is not None:
            time = frame.pts * Fraction(frame.time_base) + track.offset
        else:
            time = track.end if track.end is not None else Fraction(0)
        if track.given is not None and time <= track.given:
            return None
        if track.end is not None and track.last_start is not None:
            back = time < min(track.end, track.last_start + _BACK) - _BACK
            if back or time > track.end + self._allowed_jump(track, time):
                time += self._rebase(track, track.end - time)
        track.last_start = time
        track.end = max(track.end or time, time + self._shown_for(track, time, frame))
        return time

    def _rebase(self, track: _Track, shift: Fraction) -> Fraction:
        """Time stamps that jump (files put together, broken ones) are moved to where the stream is."""
        self.note(f"the time stamps of the {track.stream.type} jump")
        track.offset += shift
        return shift

    def _without_presentation_times(self, track: _Track) -> bool:
        """AVI stores none: frames come out in order, and take the packets' times in order."""
        return track.stream.type == "video" and self.media.container.format.name == "avi"

    def _shown_for(self, track: _Track, time: Fraction, frame: Frame) -> Fraction:
        """How long a frame lasts, if nothing follows; a claim that cannot be is not believed."""
        claimed = _frame_duration(track.stream, frame)
        stated = self._stated(track)
        beyond = stated is not None and time + claimed > max(stated, time) + _JUMP
        return _NOMINAL if beyond or claimed > _LONGEST_FRAME else claimed

    def _allowed_jump(self, track: _Track, time: Fraction) -> int:
        """Seconds that a time stamp may jump ahead: less where the container says that the end is near."""
        stated = self._stated(track)
        return _JUMP if stated is not None and time > stated else _JUMP_UNKNOWN

    def _stated(self, track: _Track) -> Fraction | None:
        """Where the container says that the stream ends, or at least that the file does."""
        container = self.media.container
        if track.stated_end is None and container.duration:
            return Fraction((container.start_time or 0) + container.duration, 1_000_000)
        return track.stated_end

    def _finish(self) -> None:
        ends: dict[str, Fraction] = {}
        for track in self._tracks.values():
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
        container = self.media.container
        if _cut_in_mid_packet(container):
            self.note("the file ends in the middle of a packet")
        guessed = container.format.name in _GUESSED
        if container.duration and not self.damage and not guessed:
            stated = Fraction((container.start_time or 0) + container.duration, 1_000_000)
            if self.duration() + self._origin < stated - _EARLY and self._holds_the_longest():
                self.note("the file ends early")

    def _holds_the_longest(self) -> bool:
        """Whether the container's duration speaks of the chosen streams (and not of a longer subtitle, say)."""
        return len(self.media.container.streams) == len(self._tracks)

    def note(self, what: str) -> None:
        """Add to ``damage``, once."""
        if what not in self.damage:
            self.damage.append(what)


def _taken(items: deque[T]) -> Iterator[T]:
    """The items in order, each let go as it is taken."""
    while items:
        yield items.popleft()


def _cut_in_mid_packet(container: InputContainer) -> bool:
    """Whether a transport stream is no whole number of its packets (of 188, 192 or 204 bytes)."""
    size = container.size
    return container.format.name == "mpegts" and size > 0 and all(size % packet for packet in (188, 192, 204))


def _states_exact_end(media: OpenMedia) -> bool:
    return "mp4" in media.container.format.name.split(",")


def _stated_end(stream: Stream) -> Fraction | None:
    if stream.duration and stream.time_base is not None:
        return Fraction((stream.start_time or 0) + stream.duration) * Fraction(stream.time_base)
    # Matroska states the end of a stream in a tag: "00:01:02.345000000".
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", ""))
    if tag is None:
        return None
    hours, minutes, seconds = tag.groups()
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)


def _packet_time(packet: Packet[Stream]) -> Fraction | None:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return None if stamp is None else stamp * Fraction(packet.time_base)


def _frame_duration(stream: Stream, frame: Frame) -> Fraction:
    if isinstance(frame, AudioFrame):
        return Fraction(frame.samples, frame.sample_rate)
    if frame.duration and frame.time_base is not None:
        return frame.duration * Fraction(frame.time_base)
    rate = stream.guessed_rate or stream.average_rate
    return 1 / Fraction(rate) if rate else _NOMINAL
