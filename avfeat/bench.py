"""How fast this machine embeds: the networks alone, decoding alone, and both together."""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.backends import Session, open_sessions
from avfeat.bundle import Bundle, Modality
from avfeat.embedding import Failure
from avfeat.encoder import BATCH, Encoder, at_once
from avfeat.errors import AvfeatError
from avfeat.grid import MICROSECONDS, Grid
from avfeat.media import Windows, media_windows
from avfeat.processors import available_processors

_RUNS = 20
"""Of each network, in turns."""


@dataclass(frozen=True)
class Speed:
    """Of a pass over all media: medians over the rounds.

    Attributes:
        wall: seconds.
        cpu: seconds of all processors together.
        real_time: seconds of media in a second.
    """

    wall: float
    cpu: float
    real_time: float


@dataclass(frozen=True)
class Bench:
    """What was measured, and on what.

    Attributes:
        bundle: its checksum.
        name: of the model.
        precision: of its arithmetic.
        backend: which of its formats ran.
        device: where it ran.
        threads: of the processor that were used, of ``processors``.
        processors: that this process may use.
        files: how many there were.
        seconds: of media.
        windows: in all files.
        rounds: over which medians are taken.
        batch: windows that the networks are given at a time.
        network: milliseconds a window, by modality; without one that no file has.
        decode: decoding and scaling, without networks.
        embed: one file after the other.
        embed_many: several files at a time.
        memory: most bytes that this process has held so far; None where the system does not say.
    """

    bundle: str
    name: str
    precision: str
    backend: str
    device: str
    threads: int
    processors: int
    files: int
    seconds: float
    windows: int
    rounds: int
    batch: int
    network: Mapping[Modality, float]
    decode: Speed
    embed: Speed
    embed_many: Speed
    memory: int | None


def bench(
    paths: Sequence[str | Path],
    bundle: Bundle,
    *,
    device: str = "auto",
    backend: str = "onnx",
    threads: int | None = None,
    rounds: int = 3,
    tell: Callable[[str], object] = lambda what: None,
) -> Bench:
    """Embed files again and again; what is compared is done in turns, so that a busy machine is unfair to none.

    Args:
        paths: of media files.
        bundle: what to run.
        device: as in ``avfeat.load``.
        backend: as in ``avfeat.load``.
        threads: as in ``avfeat.load``.
        rounds: passes over all files, of each kind.
        tell: called with the name of each pass that is done.

    Raises:
        MediaError: a file that cannot be embedded.
        BackendError: the backend or the device is not there.
    """
    count = threads or available_processors()
    sessions = open_sessions(bundle, backend, device, count)
    with Encoder(bundle, sessions, count) as encoder:
        batch = BATCH[encoder.device]
        seconds, windows, inputs = _survey(paths, encoder, batch)
        network = _network(sessions, inputs)
        tell("networks")
        works: dict[str, Callable[[], object]] = {
            "decode": lambda: deque(itertools.chain.from_iterable(_windows(paths, encoder)), maxlen=0),
            "embed": lambda: [encoder.embed(path) for path in paths],
            "embed_many": lambda: _embed_many(paths, encoder),
        }
        clocks: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, work in works.items():
                clocks[name].append(_clock(work))
                tell(name)
        return Bench(
            bundle=bundle.sha256,
            name=bundle.name,
            precision=bundle.precision,
            backend=backend,
            device=encoder.device,
            threads=count,
            processors=available_processors(),
            files=len(paths),
            seconds=seconds,
            windows=windows,
            rounds=rounds,
            batch=batch,
            network=network,
            **{name: _to_speed(found, seconds) for name, found in clocks.items()},
            memory=peak_memory(),
        )


def _clock(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _to_speed(clocks: Sequence[tuple[float, float]], seconds: float) -> Speed:
    wall, cpu = (statistics.median(column) for column in zip(*clocks, strict=True))
    return Speed(wall, cpu, seconds / wall)


def _windows(paths: Sequence[str | Path], encoder: Encoder) -> Iterator[Windows]:
    """The windows of each file: taking them is to decode and scale everything."""
    bundle, grid = encoder.bundle, Grid.from_seconds(encoder.bundle.seconds)
    for path in paths:
        yield media_windows(path, grid, bundle.video, bundle.audio, threads=encoder.threads)


def _survey(
    paths: Sequence[str | Path], encoder: Encoder, batch: int
) -> tuple[float, int, dict[Modality, NDArray[Any]]]:
    """Seconds of all media, their windows, and a batch of the first ones of each modality that is there."""
    video: list[NDArray[Any]] = []
    audio: list[NDArray[Any]] = []
    windows = duration = 0
    for cut in _windows(paths, encoder):
        for window in cut:
            windows += 1
            for rows, value in ((video, window.frames), (audio, window.waveform)):
                # Frames that are not scaled are of several sizes, and a batch is of one.
                if value is None or (rows and value.shape != rows[0].shape):
                    continue
                if len(rows) < at_once(value.nbytes, batch):
                    rows.append(value)
        duration += cut.outcome.duration
    inputs: dict[Modality, list[NDArray[Any]]] = {"video": video, "audio": audio}
    batches = {
        # Repeated where there are fewer.
        name: np.stack(list(itertools.islice(itertools.cycle(rows), at_once(rows[0].nbytes, batch))))
        for name, rows in inputs.items()
        if rows
    }
    return duration / MICROSECONDS, windows, batches


def _embed_many(paths: Sequence[str | Path], encoder: Encoder) -> None:
    for found in encoder.embed_many(paths):
        if isinstance(found, Failure):
            raise AvfeatError(found.message)


def _network(
    sessions: Mapping[Modality, Session], inputs: Mapping[Modality, NDArray[Any]]
) -> dict[Modality, float]:
    """Milliseconds a window; the first runs, which set things up, do not count."""
    times: dict[Modality, list[float]] = {name: [] for name in inputs}
    for number in range(_RUNS + 2):
        for name, batch in inputs.items():
            begun = time.perf_counter()
            sessions[name].run(batch)
            if number >= 2:
                times[name].append((time.perf_counter() - begun) / len(batch) * 1000)
    return {name: statistics.median(found) for name, found in times.items()}


def peak_memory() -> int | None:
    """The most bytes that this process has held so far; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
