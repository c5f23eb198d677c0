"""Opens what a caller calls a video: a path, bytes, or a file object, seekable or not."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from avfeat.errors import ArgumentError, MediaError
from avfeat.media.containers import OPTIONS, PLAYLIST_OPTIONS
from avfeat.media.lengths import states_nothing
from avfeat.media.playlist import HEAD as PLAYLIST
from avfeat.media.playlist import PlaylistFiles
from avfeat.media.reads import ForwardReader, SeekableReader, deliver_stop
from avfeat.media.rules import Deadline, Rules
from avfeat.media.tracks import check_picture, choose_streams, threads_for

Source = str | os.PathLike[str] | bytes | IO[bytes]

_SUFFIXES = """
    264 265 3g2 3gp 3gp2 3gpp aac ac3 aif aifc aiff amr ape apng asf au avi awb bwf caf divx dsf dts dv dvr-ms
    eac3 ec3 f4a f4v flac flv gif gxf h261 h263 h264 h265 hevc ivf m1v m2p m2t m2ts m2v m4a m4b m4r m4v mj2 mjpeg
    mjpg mk3d mka mkv mlp mov mp1 mp2 mp3 mp4 mpc mpe mpeg mpeg2 mpeg4 mpg mpga mpv mts mxf nut nuv obu oga ogg
    ogm ogv ogx opus qcp qt ra rm rmvb shn snd spx tak thd tp trp ts tta vob voc w64 wav weba webm wma wmv wtv wv
    y4m
"""
MEDIA_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""Suffixes (lower case) by which a file in a folder counts as media."""

_STILL_SUFFIXES = "avif bmp heic heif j2k jp2 jpeg jpg jxl pbm pgm png pnm ppm qoi tga tif tiff webp"
STILL_SUFFIXES = frozenset(f".{suffix}" for suffix in _STILL_SUFFIXES.split())
"""Suffixes of still pictures, which count where they are asked for."""

_HEAD = 1 << 12
_NOT_OPENED = (
    "not a media file of a kind that is opened; playlists, and whatever else names other files (HLS, DASH, SDP, "
    "ffconcat), are not followed: name the media themselves."
)
_COULD_BE = "; --playlist (playlist=True) reads an HLS playlist of files in its own folder"


def source_name(source: Source) -> str:
    """How messages and results call ``source``."""
    if isinstance(source, bytes):
        return "<bytes>"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<stream>"


def is_special(path: Path) -> bool:
    """Whether it is neither file nor folder, but a FIFO, a socket or a device; nothing is none of these."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@dataclass(frozen=True)
class OpenMedia:
    """An open container and the streams that count.

    Attributes:
        name: what messages call it.
        container: PyAV's container.
        video: the video stream, if there is one.
        audio: the audio stream, if there is one.
        rules: how it is to be read.
        deadline: when that has to be over.
        states_nothing: its length is a placeholder.
        several: whether several threads decode a stream.
    """

    name: str
    container: InputContainer
    video: VideoStream | None
    audio: AudioStream | None
    rules: Rules
    deadline: Deadline
    states_nothing: bool
    several: bool
    _opener: _Opener

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that are there, video first."""
        return tuple(stream for stream in (self.video, self.audio) if stream is not None)

    def again(self) -> OpenMedia:
        """The same media from its beginning, decoded by one thread a stream; this one is closed."""
        return self._opener.open(1)

    def check(self) -> None:
        """Raise what ends the work, if something does: a signal, the time, a playlist that names other files."""
        self.deadline.check()
        self._opener.check()


@contextmanager
def open_media(source: Source, threads: int = 0, rules: Rules | None = None) -> Iterator[OpenMedia]:
    """Open ``source`` for one pass of decoding and close it afterwards.

    Args:
        source: a path, the bytes of a file, or a binary file object. One that cannot seek is read forward, and
            decoded by one thread; where its format cannot be read forward (an mp4 with its index last) it is
            spooled to a temporary file.
        threads: decoding threads a stream, 0 for one a processor; large frames get fewer.
        rules: what is taken of it, and how much it may ask for.

    Raises:
        MediaError: ``not_found``, ``empty``, ``unreadable``, ``no_streams``, ``still`` or ``too_large``.
    """
    name = source_name(source)
    rules = rules or Rules()
    deadline = Deadline.from_seconds(name, rules.timeout)
    with deliver_stop(), ExitStack() as stack:
        target = _target(source, name, stack, deadline)
        # What was read cannot be read again, so it has to be right at once: see Timeline.
        once = isinstance(target, ForwardReader)
        opener = _Opener(name, target, rules, deadline)
        stack.callback(opener.close)
        yield opener.open(1 if once else threads)


@dataclass
class _Opener:
    """Opens one target, again and again if it has to be, one container at a time."""

    name: str
    target: Any
    rules: Rules
    deadline: Deadline
    _open: InputContainer | None = None
    _head: bytes = b""
    _files: PlaylistFiles | None = None

    def open(self, threads: int) -> OpenMedia:
        """The target from its beginning."""
        container = self._begin(self._limit())
        video, audio = choose_streams(container, self.name, self.rules)
        if video is not None:
            size = video.codec_context.width, video.codec_context.height
            if not all(size) and not isinstance(self.target, ForwardReader):
                size = self._size(video.index)
                container = self._begin(self._limit())
                video, audio = choose_streams(container, self.name, self.rules)
            check_picture(container, size, self.name, self.rules)
        several = False
        for stream in (video, audio):
            if stream is not None:
                # A stream may change its size.
                stream.codec_context.options = self._limit()
                stream.codec_context.thread_type = "AUTO"
                stream.codec_context.thread_count = threads_for(stream, threads)
                several = several or stream.codec_context.thread_count > 1
        nothing = states_nothing(self._head)
        return OpenMedia(self.name, container, video, audio, self.rules, self.deadline, nothing, several, self)

    def close(self) -> None:
        """Let go of the container."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def check(self) -> None:
        """Raise what a playlist may not name."""
        if self._files is not None:
            self._files.check()

    def _limit(self) -> dict[str, str]:
        """FFmpeg's own limit, which counts whole blocks of pixels, so that it is a little larger."""
        return {"max_pixels": str(int(self.rules.max_pixels) * 5 // 4 + (1 << 16))}

    def _size(self, index: int) -> tuple[int, int]:
        """Width and height of the frames of a stream; zeros if nobody knows.

        FFmpeg forgets a size that is beyond the limit: without one it decodes a frame at most to see it.
        """
        stream = self._begin({}).streams[index]
        assert isinstance(stream, VideoStream)
        return stream.codec_context.width, stream.codec_context.height

    def _begin(self, options: dict[str, str]) -> InputContainer:
        """The target as a container, in place of the one before."""
        again = self._open is not None
        self.close()
        with _reading(self.name):
            if again and hasattr(self.target, "seek"):
                self.target.seek(0)
            self._head = _beginning(self.target)
        self._files = None
        if self._head.startswith(PLAYLIST):
            # Only a path has a folder.
            if not isinstance(self.target, str):
                raise MediaError(self.name, "unreadable", _NOT_OPENED)
            if not self.rules.playlist:
                raise MediaError(self.name, "unreadable", f"{_NOT_OPENED.rstrip('.')}{_COULD_BE}.")
            self._files = PlaylistFiles(self.target.removeprefix("file:"), self.name)
        self._open = self._container(options)
        return self._open

    def _container(self, options: dict[str, str]) -> InputContainer:
        # FFmpeg decodes a little to learn what it has: the options count there, too.
        try:
            if self._files is not None:
                return self._playlist(self._files, options)
            # Broken tags must not keep a file from being read.
            opened: InputContainer = av.open(self.target, options={**OPTIONS, **options}, metadata_errors="replace")
            return opened
        except av.error.ArgumentError as error:
            # What FFmpeg says of a format that it is not to open.
            raise MediaError(self.name, "unreadable", _NOT_OPENED) from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.check()
            message = f"not a media file that can be read ({_why(error)})."
            raise MediaError(self.name, "unreadable", message) from error

    def _playlist(self, files: PlaylistFiles, options: dict[str, str]) -> InputContainer:
        options = {**PLAYLIST_OPTIONS, **options}
        opened: InputContainer = av.open(files.url, options=options, metadata_errors="replace", io_open=files.open)
        try:
            files.check()
        except MediaError:
            opened.close()
            raise
        return opened


def _beginning(target: Any) -> bytes:
    """The first bytes of what PyAV is to open."""
    if isinstance(target, ForwardReader):
        return target.head
    if isinstance(target, str):
        try:
            with Path(target.removeprefix("file:")).open("rb") as file:
                return file.read(_HEAD)
        except OSError:
            # PyAV will say why.
            return b""
    head: bytes = target.read(_HEAD)
    target.seek(0)
    return head


def _target(source: Source, name: str, stack: ExitStack, deadline: Deadline) -> Any:
    """What PyAV is to open."""
    if isinstance(source, bytes):
        if not source:
            raise MediaError(name, "empty", "holds no bytes.")
        return io.BytesIO(source)
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        # The scheme keeps names such as "a:b.mp4" from being taken for a protocol.
        if not _is_fifo(path, name):
            return f"file:{path}"
        return _forward(_pipe(path, name, stack), name, stack, deadline)
    if not hasattr(source, "read"):
        raise ArgumentError(f"A source must be a path, bytes or a binary file object, not {type(source).__name__}.")
    if isinstance(cast(object, source), io.TextIOBase):
        raise ArgumentError("A source must be opened in binary mode: open(path, 'rb').")
    with _reading(name):
        seekable = getattr(source, "seekable", None)
        if seekable is None or not seekable():
            return _forward(source, name, stack, deadline)
        reader = SeekableReader(source, deadline.check)
        reader.seek(0)
        if not hasattr(source, "tell"):
            # PyAV needs it to seek.
            return _forward(source, name, stack, deadline)
        if not reader.read(1):
            raise MediaError(name, "empty", "holds no bytes.")
        reader.seek(0)
        return reader


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """What a file object says in place of its bytes, as a ``MediaError``."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise MediaError(name, "unreadable", f"cannot be read ({_why(error)}).") from error


def _pipe(path: str, name: str, stack: ExitStack) -> IO[bytes]:
    """A FIFO for Python to read: FFmpeg would not hear Ctrl-C while it waits, nor keep what is needed twice."""
    try:
        return cast("IO[bytes]", stack.enter_context(io.FileIO(path, opener=_without_waiting)))
    except OSError as error:
        raise MediaError(name, "unreadable", f"cannot be opened ({_why(error)}).") from error


def _without_waiting(path: str, flags: int) -> int:
    """Open a FIFO at once, also before anybody writes to it: the reads wait, and can be stopped.

    Linux alone says nothing of such a FIFO to who polls it; elsewhere it is opened when somebody writes.
    """
    if sys.platform != "linux":
        return os.open(path, flags)
    opened = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(opened, True)
    return opened


def _is_fifo(path: str, name: str) -> bool:
    """Whether it is a pipe; what nothing can be read from is an error."""
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaError(name, "not_found", _missing(path)) from error
    except (OSError, ValueError) as error:
        raise MediaError(name, "unreadable", f"cannot be opened ({_why(error)}).") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(name, "unreadable", "is a folder, not a media file; name the files.")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise MediaError(name, "empty", "the file is empty.")
    return stat.S_ISFIFO(status.st_mode)


def _missing(path: str) -> str:
    if any(sign in path for sign in "*?["):
        return "no such file; patterns are for the shell: leave the quotes away, or name the folder."
    return "no such file."


def _forward(source: IO[bytes], name: str, stack: ExitStack, deadline: Deadline) -> Any:
    """A stream that cannot seek: itself, or a temporary copy where its format has to be read backwards."""
    reader = ForwardReader(source, deadline.check)
    head = _read_up_to(reader, _HEAD)
    if not head:
        raise MediaError(name, "empty", "no bytes came in.")
    while (needed := _first_box_that_counts(head)) >= len(head) - 8:
        more = _read_up_to(reader, needed + 16 - len(head))
        if not more:
            break
        head += more
    reader.unread(head)
    if head[needed + 4 : needed + 8] != b"mdat":
        return reader
    spool = stack.enter_context(tempfile.TemporaryFile(prefix="avfeat-"))  # noqa: SIM115
    shutil.copyfileobj(reader, spool)
    spool.seek(0)
    return spool


def _read_up_to(source: ForwardReader, size: int) -> bytes:
    """The next ``size`` bytes, fewer only at the end (a pipe gives them in pieces)."""
    pieces: list[bytes] = []
    while size > 0 and (piece := source.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _first_box_that_counts(head: bytes) -> int:
    """Where, in an ISO base media file (mp4, mov), the index or the data begins: whichever comes first.

    Behind ``head`` if only other boxes lie in it; 0 for any other kind of file.
    """
    position = 0
    while position + 8 <= len(head):
        size = int.from_bytes(head[position : position + 4], "big")
        kind = head[position + 4 : position + 8]
        if kind not in (b"ftyp", b"free", b"skip", b"wide", b"uuid", b"styp", b"pdin") or size < 8:
            break
        position += size
    return position


def _why(error: Exception) -> str:
    """The cause in FFmpeg's or the system's words, without numbers and file names."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
