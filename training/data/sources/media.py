"""The media of an item: where its bytes lie, what identifies them, and how to open them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn, cast

from avfeat.errors import MediaError, Reason
from avfeat.media import Aspect, Decoded, Source
from avfeat.media.source import is_special
from avfeat.world import VERSION, SyntheticVideo, render

DIGEST = 16
"""Bytes of a content hash (BLAKE2b)."""


@dataclass(frozen=True)
class FileMedia:
    """A file on disk."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def stamp(self) -> str | None:
        """Size and time of the last change."""
        return _stamp(self.path)

    def digest(self) -> bytes:
        """Hash of the file's bytes."""
        with _readable(self.path, self.name) as file, _reading(self.name):
            return _digest(file)

    @contextmanager
    def open(self) -> Iterator[Source]:
        """The path itself."""
        yield self.path


@dataclass(frozen=True)
class RegionMedia:
    """A part of a file on disk: a member of an uncompressed tar file."""

    path: Path
    member: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        """The file and the member in it."""
        return f"{self.path}::{self.member}"

    def stamp(self) -> str | None:
        """Size and time of the last change of the whole file, and where in it the member lies."""
        stamp = _stamp(self.path)
        return None if stamp is None else f"{stamp}:{self.offset}+{self.size}"

    def digest(self) -> bytes:
        """Hash of the member's bytes."""
        with _readable(self.path, self.name) as file:
            return _digest(Region(file, self.offset, self.size, self.name))

    @contextmanager
    def open(self) -> Iterator[Source]:
        """The member as a file object."""
        with _readable(self.path, self.name) as file:
            yield cast("IO[bytes]", Region(file, self.offset, self.size, self.name))


@dataclass(frozen=True)
class BytesMedia:
    """Bytes that were read on the way: a member of a remote or compressed tar file."""

    name: str
    data: bytes

    def stamp(self) -> str | None:
        """None: the bytes are at hand."""
        return None

    def digest(self) -> bytes:
        """Hash of the bytes."""
        return hashlib.blake2b(self.data, digest_size=DIGEST).digest()

    @contextmanager
    def open(self) -> Iterator[Source]:
        """The bytes as a file object that has a name for messages."""
        yield cast("IO[bytes]", Region(io.BytesIO(self.data), 0, len(self.data), self.name))


@dataclass(frozen=True)
class SyntheticMedia:
    """A video of the synthetic dataset, rendered on the spot."""

    video: SyntheticVideo

    @property
    def name(self) -> str:
        """The address that it has among the sources."""
        return f"synthetic:ave/{self.video.id}"

    def stamp(self) -> str | None:
        """None: the hash is as cheap."""
        return None

    def digest(self) -> bytes:
        """Hash of what defines the video."""
        return hashlib.blake2b(repr((VERSION, self.video)).encode(), digest_size=DIGEST).digest()

    def render(self, fps: int, size: int, sample_rate: int, aspect: Aspect) -> Decoded:
        """Its video and audio."""
        return render(self.video, fps=fps, size=size, sample_rate=sample_rate, aspect=aspect)


@dataclass(frozen=True)
class NoMedia:
    """Media that is already known to be no use; opening it says why."""

    name: str
    reason: Reason
    message: str

    def stamp(self) -> str | None:
        """None: nothing is there."""
        return None

    def digest(self) -> NoReturn:
        """Raise what is wrong with it."""
        raise MediaError(self.name, self.reason, self.message)


FileLike = FileMedia | RegionMedia | BytesMedia
"""Media that is the bytes of a file."""

Media = FileLike | SyntheticMedia | NoMedia
"""All of them are small (but for bytes) and can be sent to other processes. ``stamp`` is a cheap sign that nothing
has changed, ``digest`` the hash of the content, or a MediaError where that cannot be read."""


class Region(io.RawIOBase):
    """A part of a file as a binary file of its own."""

    def __init__(self, file: IO[bytes], offset: int, size: int, name: str) -> None:
        self._file = file
        self._offset = offset
        self._size = size
        self._position = 0
        self.name = name

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read in any order."""
        return True

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go to ``position``, counted from the start, the current place or the end."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, origin + position)
        return self._position

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as the part goes.

        Raises:
            MediaError: the file cannot be read there.
        """
        count = max(0, min(len(buffer), self._size - self._position))
        with _reading(self.name):
            self._file.seek(self._offset + self._position)
            data = self._file.read(count)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


@contextmanager
def _readable(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The file, open for reading; of what is raised, only what opening raises counts as the file's fault."""
    if is_special(path):
        # Opening a FIFO waits for a writer, and a device may have no end.
        raise MediaError(name, "unreadable", "is no regular file; copy what it gives to one.")
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaError(name, "not_found", "no such file.") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise MediaError(name, "unreadable", f"cannot be opened ({why}).") from error
    with file:
        yield file


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """What reading raises, as an error of the media."""
    try:
        yield
    except OSError as error:
        raise MediaError(name, "unreadable", f"cannot be read ({error.strerror or error}).") from error


def _digest(file: IO[bytes] | Region) -> bytes:
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST)).digest()  # type: ignore[arg-type]


def _stamp(path: Path) -> str | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return f"{status.st_size}:{status.st_mtime_ns}"
