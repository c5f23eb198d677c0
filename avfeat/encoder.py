"""The encoder: from any video to embeddings on one time grid."""

from __future__ import annotations

import functools
import itertools
import math
import os
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from avfeat.arguments import check_flag, check_whole, is_number, shown
from avfeat.backends import Session, open_sessions
from avfeat.bundle import MODALITIES, Bundle, Modality, find_bundle
from avfeat.embedding import Embedding, Failure, FloatRows, WindowEmbedding
from avfeat.errors import ArgumentError, BundleError, MediaError
from avfeat.grid import FAR, MICROSECONDS, Grid, microseconds
from avfeat.isolation import Decoders, Reader
from avfeat.media import Source, Window, Windows, array_windows, media_windows
from avfeat.media.rules import RuleOptions, Rules
from avfeat.media.source import source_name
from avfeat.processors import available_processors
from avfeat.stop import stopped_by
from avfeat.text import TextTower, checked_texts
from avfeat.threads import keep_order

# Windows that a graph is given at a time. On a CPU one keeps the caches warm (8 are slower); a GPU wants more.
BATCH = {"cpu": 1, "cuda": 16}
_BATCH_BYTES = 2**28
"""Of frames, which bundles may take at their own size: a graph makes four times as many of them."""
MOST_THREADS = 4096
_CLOSED = "This encoder is closed; load another one."

_Row = tuple[FloatRows, FloatRows, FloatRows | None]


def load(
    bundle: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    backend: str = "onnx",
    threads: int | None = None,
) -> Encoder:
    """Load an encoder from a bundle.

    Args:
        bundle: folder of the bundle, or the name of one that ships with avfeat (``base-int8``); None for ``base``.
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where it works and the CPU elsewhere.
        backend: which of the bundle's formats to run.
        threads: CPU threads of this encoder in all, or None for the processors that this process may use.

    Raises:
        BundleError: the bundle is broken, foreign or too new.
        BackendError: the backend or the device is not there.
        ArgumentError: arguments of another kind.
    """
    if threads is None:
        threads = available_processors()
    threads = check_whole("threads", threads, 1, MOST_THREADS)
    opened = Bundle.open(find_bundle(bundle))
    return Encoder(opened, open_sessions(opened, backend, device, threads), threads, backend)


class Encoder:
    """Embeds media with the graphs of a bundle. Safe to share between threads; a context manager.

    Can be pickled: the bundle's path, device, backend and threads travel, and on arrival it opens the bundle again.

    Attributes:
        bundle: the bundle that it runs.
        device: where it really runs: ``cpu`` or ``cuda``.
        threads: CPU threads that it may use.
        backend: which of the bundle's formats it runs.
    """

    def __init__(
        self, bundle: Bundle, sessions: Mapping[Modality, Session], threads: int, backend: str = "onnx"
    ) -> None:
        """Use ``avfeat.load``."""
        self.bundle = bundle
        self.backend = backend
        self.device = next(iter(sessions.values())).device
        self.threads = threads
        # Together: who runs them while somebody closes the encoder has all of them, or none.
        self._sessions: Mapping[Modality, Session] | None = sessions
        self._text: TextTower | None = None
        self._text_lock = threading.Lock()

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """How it travels; raises ``ArgumentError`` when it is closed."""
        if self._sessions is None:
            raise ArgumentError(_CLOSED)
        path = self.bundle.path.resolve()
        opened = functools.partial(load, path, device=self.device, backend=self.backend, threads=self.threads)
        return opened, ()

    def close(self) -> None:
        """Let go of the graphs; the encoder cannot be used afterwards."""
        with self._text_lock:
            self._sessions = self._text = None

    def check_times(self, hop: float | None, start: float = 0.0, end: float | None = None) -> None:
        """Raise ``ArgumentError`` for times that make no grid, before any work."""
        self._grid(hop, start, end)

    def embed(
        self,
        source: Source,
        *,
        hop: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        strict: bool = False,
        **rules: Unpack[RuleOptions],
    ) -> Embedding:
        """Embed one file.

        Args:
            source: a path, the bytes of a file, or a binary file object.
            hop: seconds between windows; None for the bundle's ``seconds``.
            start: start of the first window in seconds; a negative start is padded.
            end: the grid ends here, as if the media did, and the rest is not read; None for the end of the
                media. A row depends on its window alone: one that reaches beyond ``end`` sees what is there.
            strict: damaged media is an error.
            **rules: ``max_pixels`` (of a frame, 8192 x 8192), ``max_duration`` and ``timeout`` (seconds, none)
                bound what strangers send; ``audio_track`` and ``video_track`` (from 0 on, the default ones) choose;
                ``still`` takes a picture for a video of one frame, ``playlist`` an HLS playlist for the files that
                it names in its own folder. See ``avfeat.media.Rules``.

        Raises:
            MediaError: the file is missing, empty, unreadable, has no streams, is a still picture, asks for more
                than the rules allow, or (strict) is damaged.
            ArgumentError: times that make no grid, rules that cannot be.
        """
        return self._embed(source, hop, start, end, check_flag("strict", strict), self.threads, Rules(**rules))

    def embed_many(
        self,
        sources: Iterable[Source],
        *,
        hop: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        strict: bool = False,
        workers: int | None = None,
        isolate: bool = False,
        **rules: Unpack[RuleOptions],
    ) -> Iterator[Embedding | Failure]:
        """Embed many files, several at a time, and yield the results in the order of ``sources``.

        Args:
            sources: paths, bytes or file objects; taken as they are needed.
            hop: as in ``embed``.
            start: as in ``embed``.
            end: as in ``embed``.
            strict: as in ``embed``; a damaged file then is a ``Failure``.
            workers: files at a time; None for as many as the encoder has threads.
            isolate: paths are decoded in processes of their own, so that a decoder that crashes, or hangs beyond
                ``timeout``, is the ``Failure`` of one file. A script must then do its work under
                ``if __name__ == "__main__"``.
            **rules: as in ``embed``, for each file; what asks for more is a ``Failure``.

        Raises:
            ArgumentError: ``sources`` that are one, times that make no grid, arguments of another kind.
        """
        workers = self.threads if workers is None else check_whole("workers", workers, 1, MOST_THREADS)
        waiting = _checked_sources(sources)
        strict, isolate = check_flag("strict", strict), check_flag("isolate", isolate)
        self._grid(hop, start, end)
        checked = Rules(**rules)
        decoding = max(1, self.threads // workers)
        stop = threading.Event()
        decoders = Decoders()
        read: Reader = decoders.windows if isolate else media_windows

        def attempt(source: Source) -> Embedding | Failure:
            try:
                with stopped_by(stop):
                    return self._embed(source, hop, start, end, strict, decoding, checked, read)
            except MediaError as error:
                return Failure.from_error(error)

        def results() -> Iterator[Embedding | Failure]:
            with closing(decoders):
                yield from keep_order(attempt, waiting, workers, stop)

        return results()

    def stream(
        self,
        source: Source,
        *,
        hop: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        strict: bool = False,
        **rules: Unpack[RuleOptions],
    ) -> Generator[WindowEmbedding, None, None]:
        """Embed a file or live input window by window, each as soon as its data is there.

        Takes constant memory however long the input is; arguments and errors as in ``embed``. Closing it
        before its end closes the input.
        """
        strict = check_flag("strict", strict)
        grid = self._grid(hop, start, end)
        # One decoding thread: with more, frames would come later than they could.
        windows = media_windows(
            source, grid, self.bundle.video, self.bundle.audio, threads=1, strict=strict, rules=Rules(**rules)
        )
        return self._one_by_one(windows)

    def _one_by_one(self, windows: Windows) -> Generator[WindowEmbedding, None, None]:
        with closing(windows):
            yield from itertools.chain.from_iterable(self._rows(windows, batch=1))

    def embed_arrays(
        self,
        frames: NDArray[np.uint8] | None,
        fps: float | None,
        waveform: NDArray[np.floating[Any]] | None,
        sample_rate: float | None,
        *,
        hop: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        duration: float | None = None,
    ) -> Embedding:
        """Embed decoded media; both streams begin at time 0. What the bundle has no encoder for is left out.

        Args:
            frames: uint8 ``(n, height, width, 3)`` RGB, or None.
            fps: frames a second, any rate; None without frames.
            waveform: floating ``(m,)`` mono in [-1, 1], or None.
            sample_rate: samples a second, any rate; None without a waveform.
            hop: as in ``embed``.
            start: as in ``embed``.
            end: as in ``embed``.
            duration: where the media ends, in seconds; None for the end of the longer array.

        Raises:
            ArgumentError: neither frames nor waveform, or arrays of another kind.
        """
        frames, rate = _checked_frames(frames, fps)
        waveform, samples_a_second = _checked_waveform(waveform, sample_rate)
        if frames is None and waveform is None:
            raise ArgumentError("embed_arrays needs frames, a waveform, or both.")
        if (frames is None or self.bundle.video is None) and (waveform is None or self.bundle.audio is None):
            only = "frames" if self.bundle.audio is None else "a waveform"
            raise ArgumentError(f"{self.bundle.name} takes {only} alone; give embed_arrays {only}.")
        grid = self._grid(hop, start, end)
        if duration is not None and not (is_number(duration) and 0 < duration <= FAR):
            raise ArgumentError(f"duration must be a positive number of seconds, not {shown(duration)}.")
        windows = array_windows(
            frames,
            rate,
            waveform,
            samples_a_second,
            grid,
            self.bundle.video,
            self.bundle.audio,
            duration=None if duration is None else microseconds(duration),
        )
        return self._gather(windows, grid, "<arrays>")

    def embed_text(self, texts: Sequence[str]) -> FloatRows:
        """Embed sentences in the space of ``video_shared`` or ``audio_shared``, as ``bundle.text.compares`` says.

        The first call loads the tokenizer and the graph; it needs the extra ``text``.

        Args:
            texts: sentences; longer ones are cut where the network's own library cuts them.

        Returns:
            float32 ``(n, d)``, L2-normalised: a row compares with those of windows by dot product.

        Raises:
            BundleError: the bundle has no text encoder.
            BackendError: tokenizers is not installed.
            ArgumentError: something else than a list of texts.
        """
        checked = checked_texts(texts)
        with self._text_lock:
            if self._sessions is None:
                raise ArgumentError(_CLOSED)
            if self._text is None:
                self._text = TextTower.of(self.bundle, self.device, self.threads)
            tower = self._text
        return tower.embed(checked)

    def _embed(
        self,
        source: Source,
        hop: float | None,
        start: float,
        end: float | None,
        strict: bool,
        threads: int,
        rules: Rules,
        read: Reader = media_windows,
    ) -> Embedding:
        grid = self._grid(hop, start, end)
        video, audio = self.bundle.video, self.bundle.audio
        with closing(read(source, grid, video, audio, threads=threads, strict=strict, rules=rules)) as windows:
            return self._gather(windows, grid, source_name(source), rules.choice())

    def _gather(self, windows: Windows, grid: Grid, source: str, choice: dict[str, int] | None = None) -> Embedding:
        rows = list(itertools.chain.from_iterable(self._rows(windows, BATCH[self.device])))
        return Embedding.from_windows(
            rows,
            source=source,
            bundle=self.bundle.sha256,
            seconds=self.bundle.seconds,
            hop=grid.hop / MICROSECONDS,
            duration=windows.outcome.duration / MICROSECONDS,
            damage=windows.outcome.damage,
            choice=choice,
        )

    def _rows(self, windows: Iterator[Window], batch: int) -> Iterator[list[WindowEmbedding]]:
        sessions = self._sessions
        if sessions is None:
            raise ArgumentError(_CLOSED)
        see, hear = (_Runner(self.bundle, modality, sessions.get(modality)) for modality in MODALITIES)
        for taken in in_batches(windows, batch):
            video = see.rows([window.frames for window in taken])
            audio = hear.rows([window.waveform for window in taken])
            yield [
                WindowEmbedding(
                    start=window.start / MICROSECONDS,
                    end=(window.start + round(self.bundle.seconds * MICROSECONDS)) / MICROSECONDS,
                    video=video[row][0],
                    audio=audio[row][0],
                    video_shared=video[row][1],
                    audio_shared=audio[row][1],
                    has_video=window.frames is not None,
                    has_audio=window.waveform is not None,
                    **see.dense(video[row], window.start),
                    **hear.dense(audio[row], window.start),
                )
                for row, window in enumerate(taken)
            ]

    def _grid(self, hop: float | None, start: float, end: float | None) -> Grid:
        return Grid.from_seconds(self.bundle.seconds, hop, start, end)


class _Runner:
    """Runs one graph over the windows of one call; a window equal to the one before is not computed again.

    Slides, still pictures and silence, which real files are full of, cost next to nothing this way.
    """

    def __init__(self, bundle: Bundle, modality: Modality, session: Session | None) -> None:
        """Run ``session`` for ``modality`` of ``bundle``; without one, every row has a width of 0."""
        self._bundle, self._modality, self._session = bundle, modality, session
        self._input: NDArray[Any] | None = None
        graph = bundle.graphs.get(modality)
        widths = (0, 0) if graph is None else graph.widths
        self._dense = None if graph is None else graph.frames
        self._nothing: _Row = (
            np.zeros(widths[0], np.float32),
            np.zeros(widths[1], np.float32),
            None if self._dense is None else np.zeros((self._dense.rows, self._dense.dim), np.float32),
        )
        self._row = self._nothing
        self._offsets = None if self._dense is None else self._dense.offsets()

    def rows(self, inputs: list[NDArray[Any] | None]) -> list[_Row]:
        """Features, shared and dense rows of each window; zeros where there is no input."""
        fresh: list[NDArray[Any]] = []
        places: list[int | None] = []
        for value in inputs:
            if value is not None and (self._input is None or not np.array_equal(value, self._input)):
                fresh.append(value)
                self._input = value
            places.append(None if value is None else len(fresh) - 1)
        if fresh and self._session is not None:
            # A window alone may be large: it is not copied.
            out = self._session.run(fresh[0][None] if len(fresh) == 1 else np.stack(fresh))
            self._check_dense(out.frames)
            frames = [None] * len(fresh) if out.frames is None else out.frames
            computed = list(zip(out.features, out.shared, frames, strict=True))
        rows = []
        for place in places:
            if place is not None and place >= 0:
                self._row = computed[place]
            rows.append(self._nothing if place is None else self._row)
        return rows

    def dense(self, row: _Row, start: int) -> dict[str, NDArray[Any]]:
        """The dense rows of a window that begins at ``start`` microseconds, and their times, if there are any."""
        if row[2] is None or self._offsets is None:
            return {}
        times = (start + self._offsets) / MICROSECONDS
        return {f"{self._modality}_frames": row[2], f"{self._modality}_frame_times": times}

    def _check_dense(self, frames: NDArray[np.float32] | None) -> None:
        if frames is not None and self._dense is not None and frames.shape[1] != self._dense.rows:
            raise BundleError(
                f"{self._bundle.path}: the {self._modality} encoder gives {frames.shape[1]} rows for a window, not "
                f"{self._dense.rows} as bundle.json says; export the bundle again."
            )


def at_once(size: int, most: int) -> int:
    """How many windows of ``size`` bytes of frames a graph is given at a time: ``most``, or fewer of large ones."""
    return min(most, -(-_BATCH_BYTES // max(1, size)))


def in_batches(windows: Iterable[Window], most: int) -> Iterator[list[Window]]:
    """Windows whose frames are of one size, ``most`` of them at a time; fewer where they are large."""
    taken: list[Window] = []
    size: tuple[int, ...] | None = None
    for window in windows:
        own = None if window.frames is None else window.frames.shape
        if size is not None and own is not None and own != size:
            yield taken
            taken, size = [], None
        taken.append(window)
        size = own or size
        if len(taken) >= at_once(math.prod(size or (0,)), most):
            yield taken
            taken, size = [], None
    if taken:
        yield taken


def _checked_sources(sources: Iterable[Source]) -> Iterator[Source]:
    """What gives the sources; one alone, whose letters or lines they would be, is a mistake."""
    if isinstance(sources, str | bytes | os.PathLike) or hasattr(sources, "read"):
        raise ArgumentError("embed_many takes many sources; put one into a list, or call embed.")
    try:
        return iter(sources)
    except TypeError as error:
        raise ArgumentError(f"sources must be paths, bytes or file objects, not {shown(sources)}.") from error


def _as_array(name: str, values: Any) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be an array, not {shown(values)}.") from error


def _checked_frames(frames: NDArray[np.uint8] | None, fps: float | None) -> tuple[NDArray[np.uint8] | None, float]:
    if frames is None:
        return None, 1.0
    frames = _as_array("frames", frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise ArgumentError(
            f"frames must be uint8 (n, height, width, 3) with no side of 0, not {frames.dtype} {frames.shape}."
        )
    return frames, _rate("fps", fps, 1e-3, 1e6)


def _checked_waveform(
    waveform: NDArray[np.floating[Any]] | None, sample_rate: float | None
) -> tuple[NDArray[np.float32] | None, int]:
    if waveform is None:
        return None, 1
    waveform = _as_array("waveform", waveform)
    if not np.issubdtype(waveform.dtype, np.floating) or waveform.ndim != 1 or not len(waveform):
        raise ArgumentError(
            f"waveform must be floating and mono, (m,) with m of 1 or more, not {waveform.dtype} "
            f"{waveform.shape}; mix channels with waveform.mean(axis=0)."
        )
    if not np.isfinite(waveform).all():
        raise ArgumentError("waveform holds values that are no numbers; replace NaN and infinity first.")
    rate = _rate("sample_rate", sample_rate, 1, 1e7)
    if rate != int(rate):
        raise ArgumentError(f"sample_rate must be a whole number of samples a second, not {sample_rate}.")
    return np.clip(waveform, -1, 1).astype(np.float32, copy=False), int(rate)


def _rate(name: str, value: Any, least: float, most: float) -> float:
    if not is_number(value) or not least <= value <= most:
        raise ArgumentError(f"{name} must be a number from {least:g} to {most:g} a second, not {shown(value)}.")
    return float(value)
