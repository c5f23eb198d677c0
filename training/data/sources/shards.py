"""WebDataset shards: tar files whose members of one sample share their name up to the first dot.

The convention of https://github.com/webdataset/webdataset. Local uncompressed shards are read in place; remote and
compressed ones are streamed once, from first byte to last.
"""

from __future__ import annotations

import json
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

import fsspec
from braceexpand import braceexpand

from avfeat.datasets.files import is_media
from avfeat.errors import ArgumentError, BackendError
from avfeat.training.data.sources.address import Address
from avfeat.training.data.sources.item import Lazy, Listing, SourceItem, listing
from avfeat.training.data.sources.media import BytesMedia, Media, NoMedia, RegionMedia

SUFFIXES = (".tar", ".tar.gz", ".tgz")
_SIDE = (".cls", ".txt", ".json")
Place = Callable[[tarfile.TarFile, tarfile.TarInfo], Media]


def names_shards(path: str) -> bool:
    """Whether a path or URL is one of shards."""
    return path.partition("?")[0].lower().endswith(SUFFIXES) if "://" in path else path.lower().endswith(SUFFIXES)


def shard_items(address: Address) -> Listing:
    """The samples of all shards; ``{000..009}`` and ``*`` name several.

    Raises:
        ArgumentError: no shard has that name, or the pattern is none.
        BackendError: a URL that fsspec cannot open, or not without a package that is missing.
    """
    address.check_options((), "a shard")
    if address.remote:
        _check_protocol(address.path)
    shards = _expand(address)
    named = list(zip(shards, _names(shards), strict=True))
    if all(_in_place(shard) for shard in shards):
        return listing([item for shard, name in named for item in _local(Path(shard), name)])
    return Listing(Lazy(lambda: (item for shard, name in named for item in _remote(shard, name))), None)


def _check_protocol(url: str) -> None:
    """Refuse what fsspec cannot open at all, before any work."""
    try:
        fsspec.get_filesystem_class(url.partition("://")[0])
    except (ImportError, ValueError) as error:
        raise BackendError(f"{url}: fsspec cannot open such a URL here ({error}).") from error


def _names(shards: list[str]) -> list[str]:
    """Shards by what sets them apart: their paths below the folder that they have in common."""
    paths = [_path(shard) for shard in shards]
    common = posixpath.commonpath([posixpath.dirname(path) for path in paths])
    return [posixpath.relpath(path, common or ".") for path in paths]


def _path(shard: str) -> str:
    if "://" in shard:
        return shard.partition("://")[2].partition("?")[0]
    return Path(shard).absolute().as_posix()


def _in_place(shard: str) -> bool:
    return "://" not in shard and shard.lower().endswith(".tar")


def _expand(address: Address) -> list[str]:
    """The shards that a pattern names; a path that exists is itself."""
    if not address.remote and Path(address.path).is_file():
        return [address.path]
    try:
        patterns = list(braceexpand(address.path))
    except ValueError as error:
        raise ArgumentError(f"{address.text}: its braces do not match; write them like {{000..009}}.") from error
    shards = [shard for pattern in patterns for shard in _matches(pattern)]
    if not shards:
        raise ArgumentError(f"{address.text}: no shard is called that.")
    return shards


def _matches(pattern: str) -> list[str]:
    if "*" not in pattern and "[" not in pattern:
        return [pattern]
    files, path = fsspec.url_to_fs(pattern)
    found = sorted(cast("list[str]", files.glob(path)))
    return [files.unstrip_protocol(name) for name in found] if "://" in pattern else found


def _local(path: Path, name: str) -> Iterator[SourceItem]:
    """The samples of a shard on disk, its media left where it is."""

    def place(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Media:
        return RegionMedia(path, member.name, member.offset_data, member.size)

    yield from _samples(str(path), name, lambda stack: stack.enter_context(path.open("rb")), "r:", place)


def _remote(shard: str, name: str) -> Iterator[SourceItem]:
    """The samples of a shard that is streamed, its media in memory."""

    def place(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Media:
        return BytesMedia(f"{shard}::{member.name}", _content(tar, member))

    def opened(stack: ExitStack) -> IO[bytes]:
        return cast("IO[bytes]", stack.enter_context(fsspec.open(shard, "rb")))

    yield from _samples(shard, name, opened, "r|*", place)


class _Header(tarfile.TarInfo):
    """A header that is no header is an error; tarfile itself takes it for the end, and what follows is lost."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if len(buf) == tarfile.BLOCKSIZE and not any(buf):
            # Zeros are the end.
            return super().frombuf(buf, encoding, errors)
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"it breaks off or is no tar file: {error}") from error


def _samples(
    shard: str, name: str, opened: Callable[[ExitStack], IO[bytes]], mode: str, place: Place
) -> Iterator[SourceItem]:
    """Samples in order; what keeps a shard from being read to its end is one failure more."""
    sample: _Sample | None = None
    try:
        with ExitStack() as stack:
            tar = stack.enter_context(tarfile.open(fileobj=opened(stack), mode=mode, tarinfo=_Header))  # type: ignore[call-overload]
            for member in tar:
                key = _key(member)
                if key is None:
                    continue
                if sample is not None and sample.key != key:
                    yield sample.item(shard, name)
                    sample = None
                sample = sample or _Sample(key)
                sample.add(tar, member, place)
        if sample is not None:
            yield sample.item(shard, name)
    except FileNotFoundError:
        yield SourceItem(name, NoMedia(shard, "not_found", "no such shard."))
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        yield SourceItem(name, NoMedia(shard, "unreadable", f"the shard cannot be read to its end ({why})."))


def _key(member: tarfile.TarInfo) -> str | None:
    """What the members of a sample share; None for folders and for WebDataset's notes on the shard."""
    path = PurePosixPath(member.name)
    if not member.isreg() or path.name.startswith((".", "__")):
        return None
    return str(path.with_name(path.name.partition(".")[0]))


@dataclass
class _Sample:
    """The members of one sample, as they come."""

    key: str
    media: dict[str, Media] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo, place: Place) -> None:
        """Keep what matters of a member."""
        path = PurePosixPath(member.name)
        if is_media(path):
            self.media[path.name] = place(tar, member)
        elif path.suffix.lower() in _SIDE:
            self.notes[path.suffix.lower()] = _content(tar, member)

    def item(self, shard: str, name: str) -> SourceItem:
        """The sample, or what is wrong with it."""
        if len(self.media) == 1:
            [(member, media)] = self.media.items()
            return SourceItem(f"{name}/{PurePosixPath(self.key).with_name(member)}", media, self._label())
        message = "the sample has no media member."
        if self.media:
            message = (
                f"the sample has several media members ({', '.join(self.media)}); put its streams into one file."
            )
        return SourceItem(f"{name}/{self.key}", NoMedia(f"{shard}::{self.key}", "unreadable", message))

    def _label(self) -> str | None:
        """From ``.cls``, the ``label`` in ``.json``, or ``.txt``, in this order."""
        noted = _json_label(self.notes.get(".json", b""))
        for text in (self.notes.get(".cls"), noted, self.notes.get(".txt")):
            label = (text or b"").decode("utf-8", "replace").strip()
            if label:
                return label
        return None


def _json_label(text: bytes) -> bytes | None:
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        return None
    label = found.get("label") if isinstance(found, dict) else None
    return None if label is None else str(label).encode()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()
