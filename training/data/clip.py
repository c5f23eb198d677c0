"""Reads prepared clips: video and audio of any time, without reading the rest of the file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from avfeat.grid import MICROSECONDS
from avfeat.media import AudioSpec
from avfeat.training.data.clip_writer import FULL_SCALE, Facts
from avfeat.training.data.settings import CacheError, CacheSettings
from avfeat.training.data.speed import resample

_MARGIN = 64
"""Samples around a stretch that the resampler's filter may reach for; half of it is 16 at most."""


class Clip:
    """One prepared clip, open for reading.

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
            note = json.loads(file.metadata()["avfeat"])
            self.settings = CacheSettings.from_json(note["settings"])
            ends = {name: note[name] for name in ("video_end", "audio_end", "begin")}
            self.facts = Facts(**ends, damage=tuple(note["damage"]))
            self._offsets = cast("NDArray[np.uint64]", file.get_tensor("offsets")).astype(np.int64)
            self._shown = cast("NDArray[np.uint32]", file.get_tensor("shown"))
            self._pictures = file.get_slice("pictures")
            self._sound = file.get_slice("sound")
            self.samples = int(self._sound.get_shape()[0])
        except FileNotFoundError as error:
            raise CacheError(f"{path}: no such clip; run avfeat prepare again.") from error
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise CacheError(
                f"{path}: not a clip that can be read ({error}); delete it and prepare again."
            ) from error

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
            CacheError: a frame that cannot be decoded.
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
            np.multiply(
                self._sound[begin:end], np.float32(1 / FULL_SCALE), out=out[begin - position : end - position]
            )

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
            try:
                simplejpeg.decode_jpeg(data[begin:end], "RGB", buffer=out[row])
            except ValueError as error:
                raise CacheError(f"{self._path}: an image is damaged; delete it and prepare again.") from error
