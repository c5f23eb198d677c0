"""Reads prepared clips: video and audio of any time, without reading the rest of the file."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from avfeat.grid import MICROSECONDS
from avfeat.media import AudioSpec
from avfeat.training.data.clip_writer import FULL_SCALE, SUMMED, SUMS, TABLES, TENSORS, Facts, checksum
from avfeat.training.data.settings import CacheError, CacheSettings
from avfeat.training.data.speed import resample

_MARGIN = 64
"""Samples around a stretch that the resampler's filter may reach for; half of it is 16 at most."""


_AT_ONCE = 256 * SUMMED


class Clip:
    """One prepared clip, open for reading. What is read of it is checked: see ``clip_writer``.

    Attributes:
        settings: how it was prepared.
        facts: where its streams end, and what was damaged.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``.

        Raises:
            CacheError: the file is missing or is no clip.
        """
        self._path = path
        try:
            # Mapped, not read: what is not asked for stays on disk.
            file = cast(Any, safe_open(str(path), framework="numpy"))
            tables = _read_tables(file)
            note = json.loads(file.metadata()["avfeat"])
            self.settings = CacheSettings.from_json(note["settings"])
            ends = {name: note[name] for name in ("video_end", "audio_end", "begin")}
            self.facts = Facts(**ends, damage=tuple(note["damage"]))
            self._offsets = tables["offsets"].astype(np.int64)
            self._shown = tables["shown"]
            # None in clips of versions that had no checksums.
            self._picture_sums, self._sound_sums = (tables.get(name) for name in SUMS)
            self._pictures = file.get_slice("pictures")
            self._sound = file.get_slice("sound")
            self.samples = int(self._sound.get_shape()[0])
        except FileNotFoundError as error:
            raise CacheError(f"{path}: no such clip; run avfeat prepare again.") from error
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            message = (
                f"{path}: not a clip that can be read ({error}); run avfeat prepare again, which makes it anew."
            )
            raise CacheError(message) from error

    def verify(self) -> None:
        """Read all of it, at constant memory.

        Raises:
            CacheError: it is damaged on disk. A clip of a version that had no checksums is taken for whole.
        """
        for number in range(self.pictures if self._picture_sums is not None else 0):
            begin, end = (int(at) for at in self._offsets[number : number + 2])
            self._check_picture(number, memoryview(self._pictures[begin:end]))
        for begin in range(0, self.samples if self._sound_sums is not None else 0, _AT_ONCE):
            self._samples(begin, min(begin + _AT_ONCE, self.samples))

    @property
    def has_video(self) -> bool:
        """Whether it has frames."""
        return len(self._shown) > 0

    @property
    def has_audio(self) -> bool:
        """Whether it has audio."""
        return self.facts.audio_end is not None

    @property
    def pictures(self) -> int:
        """How many frames are stored; equal ones in a row count once."""
        return len(self._offsets) - 1

    def frames(
        self, instants: Sequence[int] | NDArray[np.int64], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """What is on screen at ``instants``, to within half of the cache's frame interval.

        Before the first and after the last frame the nearest one is repeated; zeros without video.

        Args:
            instants: microseconds from time 0, in any order.
            out: where to put the result, or None for a new array.

        Returns:
            uint8 ``(len(instants), size, size, 3)`` RGB.

        Raises:
            CacheError: a frame that is damaged on disk.
        """
        size = self.settings.size
        if out is None:
            out = np.empty((len(instants), size, size, 3), dtype=np.uint8)
        if not self.has_video:
            out[...] = 0
            return out
        cells = np.asarray(instants, dtype=np.int64) * self.settings.fps // MICROSECONDS
        wanted = self._shown[np.clip(cells, 0, len(self._shown) - 1)].astype(np.int64)
        self._decode(wanted, out)
        return out

    def sound(
        self, start: int, count: int, speed: float = 1.0, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Samples from a time on, zeros where there are none.

        Args:
            start: microseconds from time 0; negative ones are before the beginning.
            count: how many samples.
            speed: how much faster than it was recorded, to the nearest ``1 / sample_rate``: the samples cover
                ``count * speed / sample_rate`` seconds, and the pitch rises with it.
            out: where to put the result, or None for a new array.

        Returns:
            float32 ``(count,)`` in [-1, 1] at ``settings.sample_rate``.

        Raises:
            CacheError: sound that is damaged on disk.
        """
        rate = self.settings.sample_rate
        if out is None:
            out = np.empty(count, dtype=np.float32)
        position = AudioSpec(rate, count).position(start)
        rate_in = round(rate * speed)
        if rate_in == rate:
            self._stretch(position, out)
            return out
        margin = math.ceil(_MARGIN * rate_in / rate)
        taken = np.empty(math.ceil(count * rate_in / rate) + 2 * margin, dtype=np.float32)
        self._stretch(position - margin, taken)
        first = round(margin * rate / rate_in)
        found = resample(taken, rate_in, rate)[first : first + count]
        out[: len(found)] = found
        out[len(found) :] = 0
        return out

    def _stretch(self, position: int, out: NDArray[np.float32]) -> None:
        """Fill ``out`` with the samples from ``position`` on."""
        begin, end = (min(max(at, 0), self.samples) for at in (position, position + len(out)))
        out[: begin - position] = 0
        out[max(0, end - position) :] = 0
        if begin < end:
            samples = self._samples(begin, end)
            np.multiply(samples, np.float32(1 / FULL_SCALE), out=out[begin - position : end - position])

    def _samples(self, begin: int, end: int) -> NDArray[np.int16]:
        """Samples of the file, which are checked together with those that share their checksums."""
        if self._sound_sums is None:
            return cast("NDArray[np.int16]", self._sound[begin:end])
        first, last = begin // SUMMED, -(-end // SUMMED)
        blocks: NDArray[np.int16] = self._sound[first * SUMMED : min(last * SUMMED, self.samples)]
        for number in range(first, last):
            block = blocks[(number - first) * SUMMED : (number - first + 1) * SUMMED]
            if zlib.crc32(block.data) != self._sound_sums[number]:
                raise self._damaged("audio")
        return blocks[begin - first * SUMMED : end - first * SUMMED]

    def _decode(self, wanted: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        """Decode frames by number into ``out``; one that follows itself is decoded once."""
        low = int(wanted.min())
        base = int(self._offsets[low])
        data = memoryview(self._pictures[base : int(self._offsets[int(wanted.max()) + 1])])
        for row, number in enumerate(wanted):
            if row and number == wanted[row - 1]:
                out[row] = out[row - 1]
                continue
            begin, end = (int(at) - base for at in self._offsets[number : number + 2])
            self._check_picture(number, data[begin:end])
            try:
                simplejpeg.decode_jpeg(data[begin:end], "RGB", buffer=out[row])
            except ValueError as error:
                raise self._damaged("a frame") from error

    def _check_picture(self, number: int, data: memoryview) -> None:
        if self._picture_sums is not None and zlib.crc32(data) != self._picture_sums[number]:
            raise self._damaged("a frame")

    def _damaged(self, what: str) -> CacheError:
        return CacheError(
            f"{self._path}: {what} is damaged on disk; run avfeat prepare again, which makes it anew."
        )


def _read_tables(file: Any) -> dict[str, NDArray[Any]]:
    """The tables of a clip, and its checksums where it has any; raises ValueError for what was not written so."""
    names, metadata = set(file.keys()), file.metadata()
    summed = "crc32" in metadata
    if names != set(TENSORS) - (set() if summed else set(SUMS)) or len(metadata) != 1 + summed:
        raise ValueError("it does not hold what a clip does")
    if any(file.get_slice(name).get_dtype() != TENSORS[name] for name in names):
        raise ValueError("its numbers are of other types than a clip's")
    tables = {name: file.get_tensor(name) for name in TABLES if name in names}
    if (
        summed
        and checksum(metadata["avfeat"], (memoryview(table) for table in tables.values())) != metadata["crc32"]
    ):
        raise ValueError("it is damaged on disk")
    return tables
