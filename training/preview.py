"""Augmentations as a figure and as a video: what a clip looks and sounds like before and after each of them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from avfeat.errors import ArgumentError
from avfeat.grid import Grid
from avfeat.media import AudioSpec, Source, VideoSpec, media_windows
from avfeat.media.source import source_name
from avfeat.training.augment.augmentation import Augmentation
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.compose import Composition
from avfeat.training.augment.registry import AUGMENTATIONS, name_of
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.writers.atomic import atomic

SECONDS, FPS, RATE = 2.0, 8, 16_000
_LOST = "#d62728"
_TEXT = {"fontsize": 7, "loc": "left", "pad": 3}


@dataclass(frozen=True)
class Strip:
    """One row of a preview.

    Attributes:
        name: what was done.
        frames: uint8 ``(T, size, size, 3)``, or None without video.
        waveform: float32 ``(samples,)``, or None without audio.
        shown: which frame of the original is at each place, ``(T,)``.
        seen_lost: which frames lost something in time, bool ``(T,)``.
        heard_lost: likewise for as many equal parts of the audio, bool ``(parts,)``.
    """

    name: str
    frames: NDArray[np.uint8] | None
    waveform: NDArray[np.float32] | None
    shown: NDArray[np.int64]
    seen_lost: NDArray[np.bool_]
    heard_lost: NDArray[np.bool_]


def strips(
    clip: Source,
    composition: Composition | None = None,
    *,
    strength: float = 1.0,
    start: float = 0.0,
    seed: int = 0,
) -> list[Strip]:
    """A clip as it is, after each augmentation alone, and after all of a composition together.

    Args:
        clip: path, bytes or file object.
        composition: what to show; None for every augmentation that there is, each alone.
        strength: scales all strengths.
        start: where the two seconds that are shown begin, in seconds.
        seed: of the random numbers.

    Raises:
        MediaError: the clip cannot be decoded.
        ArgumentError: it ends before ``start``, or ``strength`` is out of range.
    """
    chosen = composition or Composition(tuple(kind() for kind in AUGMENTATIONS.values()))
    chosen = replace(chosen, strength=chosen.strength * strength)
    before = _take_clip(clip, start)
    rng = SampleRNG.from_generator(torch.Generator().manual_seed(seed), 1)
    rows = [_strip("as it is", before, _Marks.from_steps([]))]
    steps = list(chosen.steps(rng))
    for one, own in steps:
        # Shown for certain, whatever its probability, with the numbers that it has in the composition.
        certain = replace(one, p=1.0)
        rows.append(_strip(_title(certain), certain(before, own), _Marks.from_steps([(certain, own)])))
    if composition is not None:
        rows.append(_strip("all together", chosen(before, rng), _Marks.from_steps(steps)))
    return rows


def _take_clip(clip: Source, start: float) -> Clips:
    """The two seconds from ``start`` on, as the runtime's window there; what lies behind them is not read."""
    grid = Grid.from_seconds(SECONDS, None, start)
    count, samples = round(SECONDS * FPS), round(SECONDS * RATE)
    windows = media_windows(clip, grid, VideoSpec(FPS, count, 112), AudioSpec(RATE, samples), threads=1)
    with closing(windows):
        window = next(windows)
    if window.frames is None and window.waveform is None:
        raise ArgumentError(f"{source_name(clip)}: it ends before {start:g} s; give an earlier start.")
    frames = waveform = None
    if window.frames is not None:
        frames = torch.from_numpy(window.frames).permute(0, 3, 1, 2)[None].float() / 255
    if window.waveform is not None:
        waveform = torch.from_numpy(window.waveform)[None]
    return Clips(frames, waveform, RATE)


def _title(one: Augmentation) -> str:
    return f"{name_of(one)}   ({one.family}, strength {one.strength:g})"


def _strip(name: str, after: Clips, marks: _Marks) -> Strip:
    frames = waveform = None
    if after.frames is not None:
        frames = (after.frames[0].permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    if after.waveform is not None:
        waveform = after.waveform[0].numpy()
    return Strip(name, frames, waveform, marks.shown, marks.seen, marks.heard)


@dataclass(frozen=True)
class _Marks:
    """What augmentations did in time: see ``Strip``."""

    shown: NDArray[np.int64]
    seen: NDArray[np.bool_]
    heard: NDArray[np.bool_]

    @classmethod
    def from_steps(cls, steps: Iterable[tuple[Augmentation, SampleRNG]]) -> _Marks:
        """Found by doing the same, with the same random numbers, to noise: there, any loss shows."""
        count = round(SECONDS * FPS)
        noise = torch.Generator().manual_seed(0)
        pictures = torch.rand(1, count, 3, 16, 16, generator=noise)
        sound = 1.6 * torch.rand(1, round(SECONDS * RATE), generator=noise) - 0.8
        probe = Clips(pictures, sound, RATE)
        numbers = Clips((torch.arange(count) / count).view(1, count, 1, 1, 1).expand(1, count, 3, 1, 1), None, RATE)
        seen, heard = np.zeros(count, bool), np.zeros(count * _PARTS, bool)
        for one, rng in steps:
            if one.family not in ("lossy coherent", "incoherent"):
                continue
            found = one(probe, rng)
            assert found.frames is not None and found.waveform is not None
            seen |= (found.frames - pictures)[0].abs().amax((1, 2, 3)).numpy() > _CHANGED
            heard |= (found.waveform - sound)[0].abs().view(len(heard), -1).amax(1).numpy() > _CHANGED
            if one.family == "incoherent":
                numbers = one(numbers, rng)
        assert numbers.frames is not None
        return cls((numbers.frames[0, :, 0, 0, 0] * count).round().long().numpy(), seen, heard)


_PARTS = 10
"""Parts of the audio of one frame that are marked each on their own."""
_CHANGED = 1e-3


def draw_sheet(rows: list[Strip], out: Path) -> None:
    """Write a figure: a row for each strip with its frames, its waveform and its spectrogram.

    What was lost in time is marked red; frames that were moved bear the number that they had.

    Raises:
        OutputError: ``out`` cannot be written.
    """
    with matplotlib.rc_context({"backend": "agg"}):
        figure, axes = plt.subplots(
            len(rows), 3, figsize=(15, 0.95 * len(rows)), width_ratios=[16, 4, 4], squeeze=False, dpi=90
        )
        for strip, (film, wave, spectrum) in zip(rows, axes, strict=True):
            for axis in (film, wave, spectrum):
                axis.set_xticks([])
                axis.set_yticks([])
            film.set_title(strip.name, **_TEXT)
            _draw_film(film, strip)
            _draw_sound(wave, spectrum, strip)
        figure.tight_layout(pad=0.3, h_pad=0.4, w_pad=0.3)
        with atomic(out) as file:
            figure.savefig(file, format="png")
        plt.close(figure)


def _draw_film(axis: Axes, strip: Strip) -> None:
    if strip.frames is None:
        axis.text(0.5, 0.5, "no video", ha="center", va="center", transform=axis.transAxes)
        return
    count = len(strip.frames)
    axis.imshow(np.concatenate(list(strip.frames), axis=1), extent=(0, count, 0, 1), aspect="auto")
    axis.set_xlim(0, count)
    axis.set_ylim(-0.12, 1)
    axis.vlines(range(1, count), 0, 1, color="white", linewidth=0.6)
    _mark(axis, strip.seen_lost, count, -0.12, 0.0)
    for place, number in enumerate(strip.shown):
        if number != place:
            axis.text(place + 0.06, 0.82, str(number + 1), fontsize=6, color="white", backgroundcolor="#00000080")


def _draw_sound(wave: Axes, spectrum: Axes, strip: Strip) -> None:
    if strip.waveform is None:
        wave.text(0.5, 0.5, "no audio", ha="center", va="center", transform=wave.transAxes)
        return
    wave.plot(np.linspace(0, 1, len(strip.waveform)), strip.waveform, linewidth=0.3, color="0.25")
    wave.set_xlim(0, 1)
    wave.set_ylim(-1.25, 1)
    _mark(wave, strip.heard_lost, 1.0, -1.25, -1.05)
    frames = np.lib.stride_tricks.sliding_window_view(strip.waveform, 512)[::80] * np.hanning(512)
    levels = 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)).T + 1e-4)
    spectrum.imshow(levels, origin="lower", aspect="auto", cmap="magma", vmin=-60, vmax=40)


def _mark(axis: Axes, lost: NDArray[np.bool_], width: float, bottom: float, top: float) -> None:
    """Red where something was lost."""
    step = width / len(lost)
    for begin, end in _runs(lost):
        axis.fill_between([begin * step, end * step], bottom, top, color=_LOST, linewidth=0)


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def write_video(rows: list[Strip], out: Path, scale: int = 2) -> None:
    """Write a video (mp4): for each strip the clip as it is beside what it became, with its audio.

    Raises:
        OutputError: ``out`` cannot be written.
    """
    original = rows[0]
    size = 112 * scale
    # In memory first: a disk that is full must not surprise the muxer in the middle of its work.
    encoded = io.BytesIO()
    with av.open(encoded, "w", format="mp4") as container:
        picture = container.add_stream("libx264", rate=FPS, options={"crf": "20", "threads": "1"})
        picture.width, picture.height, picture.pix_fmt = 2 * size, size + 24, "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        begun = 0
        for strip in rows:
            for index in range(round(SECONDS * FPS)):
                pixels = _beside(original, strip, index, scale)
                container.mux(picture.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            waveform = np.zeros(round(SECONDS * RATE), np.float32) if strip.waveform is None else strip.waveform
            samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform[None]), format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = RATE, begun, Fraction(1, RATE)
            begun += len(waveform)
            container.mux(sound.encode(samples))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    with atomic(out) as file:
        file.write(encoded.getvalue())


def _beside(original: Strip, strip: Strip, index: int, scale: int) -> NDArray[np.uint8]:
    """One frame of the video: before, after, and what it is called."""
    from PIL import Image, ImageDraw

    size = 112 * scale
    canvas = np.zeros((size + 24, 2 * size, 3), np.uint8)
    for place, one in enumerate((original, strip)):
        if one.frames is not None:
            pixels = one.frames[index].repeat(scale, 0).repeat(scale, 1)
            canvas[24:, place * size : (place + 1) * size] = pixels
    if strip.seen_lost[index]:
        canvas[20:24, size:] = (214, 39, 40)
    image = Image.fromarray(canvas)
    ImageDraw.Draw(image).text((4, 4), strip.name, fill="white")
    return np.asarray(image)
