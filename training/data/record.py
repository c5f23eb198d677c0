"""Decodes the media of an item and writes it as a clip file, at the memory of a second of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avfeat.grid import MICROSECONDS, Grid, microseconds
from avfeat.media import AudioSpec, Source, VideoSpec, Window, Windows, media_windows
from avfeat.training.data.clip_writer import ClipWriter, Facts
from avfeat.training.data.settings import CacheSettings
from avfeat.training.data.sources.media import FileLike, SyntheticMedia


def record(media: FileLike | SyntheticMedia, settings: CacheSettings, path: Path, scratch: Path) -> None:
    """Make the clip file ``path`` of ``media``: the instants and values of ``avfeat.media.decode``.

    Args:
        media: what to decode or render.
        settings: what the clip holds.
        path: where it goes; it appears atomically.
        scratch: folder for what does not fit into memory meanwhile.

    Raises:
        MediaError: media that cannot be decoded.
        OutputError: the clip cannot be written.
    """
    with ClipWriter(settings, scratch) as writer:
        if isinstance(media, SyntheticMedia):
            facts = _render(media, settings, writer)
        else:
            with media.open() as source:
                facts = _decode(source, settings, writer)
        writer.save(path, facts)


def _render(media: SyntheticMedia, settings: CacheSettings, writer: ClipWriter) -> Facts:
    made = media.render(settings.fps, settings.size, settings.sample_rate, settings.aspect)
    video_end = audio_end = None
    if made.frames is not None:
        for pixels in made.frames:
            writer.show(pixels)
        video_end = microseconds(len(made.frames) / settings.fps)
    if made.waveform is not None:
        writer.sound(made.waveform)
        audio_end = microseconds(len(made.waveform) / settings.sample_rate)
    return Facts(video_end, audio_end)


def _decode(source: Source, settings: CacheSettings, writer: ClipWriter) -> Facts:
    windows = _windows(source, settings)
    begins: dict[str, int] = {}
    silence = np.zeros(settings.sample_rate, dtype=np.float32)
    for window in windows:
        if window.frames is not None:
            begins.setdefault("video", window.start)
        if window.waveform is not None:
            begins.setdefault("audio", window.start)
        _show(window, settings.fps, writer)
        writer.sound(silence if window.waveform is None else window.waveform)
    outcome = windows.outcome
    return Facts(outcome.video_end, outcome.audio_end, max(begins.values(), default=0), outcome.damage)


def _windows(source: Source, settings: CacheSettings) -> Windows:
    """Seconds of the media, side by side: what ``avfeat.media.decode`` is made of."""
    return media_windows(
        source,
        Grid(MICROSECONDS, MICROSECONDS, tail=0),
        VideoSpec(settings.fps, settings.fps, settings.size, settings.aspect),
        AudioSpec(settings.sample_rate, settings.sample_rate),
        threads=1,
    )


def _show(window: Window, fps: int, writer: ClipWriter) -> None:
    if window.frames is None:
        for _ in range(fps):
            writer.show_nothing()
        return
    for pixels in window.frames:
        writer.show(pixels)
