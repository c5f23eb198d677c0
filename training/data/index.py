"""The index of a prepared cache: which clips it holds, and what is known of each without opening it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from avfeat.grid import MICROSECONDS
from avfeat.training.data.settings import CacheError, CacheSettings
from avfeat.writers.atomic import atomic, encode_line

NAME = "index.json"
VERSION = 1
_FORMAT = "avfeat-cache"


@dataclass(frozen=True)
class CacheRow:
    """One item of a cache.

    Attributes:
        name: of the item in its source.
        clip: name of its clip file.
        label: its class in words, or None.
        group: what must never stand in two folds, such as the clips of one video; None: a group of its own.
        video_end: end of the video in microseconds, None without one.
        audio_end: end of the audio, likewise.
        begin: from here on all of its streams are there, in microseconds.
        damage: what was damaged in its media, in words.
        bytes: size of the clip file.
        stamp: size and time of the media file, by which it is known unchanged; None where it has none.
    """

    name: str
    clip: str
    label: str | None
    group: str | None
    video_end: int | None
    audio_end: int | None
    begin: int
    damage: tuple[str, ...]
    bytes: int
    stamp: str | None

    @property
    def seconds(self) -> float:
        """Length of the item: the end of its later stream."""
        return max(self.video_end or 0, self.audio_end or 0) / MICROSECONDS


@dataclass(frozen=True)
class CacheIndex:
    """What ``index.json`` holds: how the clips were prepared, and the items in the order of their source."""

    settings: CacheSettings
    rows: tuple[CacheRow, ...]

    @property
    def bytes(self) -> int:
        """Size of all clip files; clips that items share count once."""
        return sum({row.clip: row.bytes for row in self.rows}.values())

    @property
    def seconds(self) -> float:
        """Length of all items."""
        return sum(row.seconds for row in self.rows)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({row.label for row in self.rows if row.label is not None}))


def clip_path(cache: Path, clip: str) -> Path:
    """Where a clip lies."""
    return cache / "clips" / clip[:2] / f"{clip}.clip"


def drop_others(cache: Path, index: CacheIndex) -> None:
    """Remove the clips that ``index`` does not name: they can be made again. Only the holder of the lock may."""
    named = {row.clip for row in index.rows}
    # Names of clips alone: a folder "clips" may have been there before.
    for path in (cache / "clips").glob(f"[0-9a-f][0-9a-f]/{'[0-9a-f]' * 32}.clip"):
        if path.stem not in named and path == clip_path(cache, path.stem):
            # One that the system will not let go of, as Windows does while it is read, goes with the next build.
            with suppress(OSError):
                path.unlink()


def write_index(cache: Path, settings: CacheSettings, rows: Sequence[CacheRow]) -> CacheIndex:
    """Write ``index.json`` atomically: one line an item, nothing that differs from run to run.

    Raises:
        OutputError: it cannot be written.
    """
    index = CacheIndex(settings, tuple(rows))
    head = {
        "format": _FORMAT,
        "version": VERSION,
        "settings": settings.to_json(),
        "items": len(rows),
        "seconds": round(index.seconds, 6),
        "bytes": index.bytes,
    }
    with atomic(cache / NAME) as file:
        file.write(encode_line(json.dumps(head, ensure_ascii=False)[:-1] + ', "rows": ['))
        for number, row in enumerate(rows, 1):
            file.write(
                encode_line(json.dumps(asdict(row), ensure_ascii=False) + ("," if number < len(rows) else ""))
            )
        file.write(b"]}\n")
    return index


def read_index(cache: Path) -> CacheIndex:
    """Read ``index.json``.

    Raises:
        CacheError: there is none, or it is none that this avfeat can read.
    """
    path = cache / NAME
    try:
        found = json.loads(path.read_bytes())
        if found["format"] != _FORMAT or found["version"] != VERSION:
            raise CacheError(f"{path}: not an index that this avfeat reads; prepare again with this version.")
        rows = tuple(_row(values) for values in found["rows"])
        return CacheIndex(CacheSettings.from_json(found["settings"]), rows)
    except FileNotFoundError as error:
        raise CacheError(
            f"{cache}: no prepared cache, or one that was never finished; run avfeat prepare."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CacheError(f"{path}: not an index ({error}); delete it and run avfeat prepare again.") from error


def _row(values: dict[str, Any]) -> CacheRow:
    return CacheRow(
        **{field.name: values[field.name] for field in fields(CacheRow)} | {"damage": tuple(values["damage"])}
    )


def write_lines(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """Write JSON lines, or remove the file where there are none.

    Raises:
        OutputError: it cannot be written.
    """
    lines = [encode_line(json.dumps(row, ensure_ascii=False)) for row in rows]
    if not lines:
        path.unlink(missing_ok=True)
        return
    with atomic(path) as file:
        file.writelines(lines)
