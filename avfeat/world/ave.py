"""A synthetic dataset on disk, in the layout of the AVE data set (Tian et al., ECCV 2018)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from avfeat.errors import ArgumentError, OutputError
from avfeat.processors import available_processors
from avfeat.world.plan import SPLITS, VERSION, SyntheticVideo, plan
from avfeat.world.render import write_video
from avfeat.writers.atomic import PREFIX, atomic, sweep

VIDEOS = "AVE"
"""The folder of the videos."""

_HEADER = "Category&VideoID&Quality&StartTime&EndTime"
_STAMP = "made-world.json"
_FILES = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}


@dataclass(frozen=True)
class VideoWritten:
    """A video is on disk; ``before``: since an earlier run."""

    video: SyntheticVideo
    before: bool


def write_ave(out: Path, videos: int, seed: int = 0, workers: int | None = None) -> Iterator[VideoWritten]:
    """Write a synthetic dataset; yield each video as it is there, in any order.

    ``out`` gets ``AVE/<id>.mp4``, ``Annotations.txt`` (with AVE's header line), ``trainSet.txt``, ``valSet.txt``,
    ``testSet.txt`` and ``made-world.json``, which says what world it is. Videos appear atomically, and
    stay when the run is stopped: the next one goes on from there. The text files come last.

    Args:
        out: a folder, new or with (a part of) the same world.
        videos: how many.
        seed: which world.
        workers: processes; None for one a processor.

    Raises:
        ArgumentError: numbers out of range, or ``out`` holds something else.
        OutputError: ``out`` cannot be written.
    """
    made = plan(videos, seed)
    _claim(out, {"world": "ave", "version": VERSION, "videos": videos, "seed": seed})
    waiting = []
    for video in made:
        if _path(out, video).is_file():
            yield VideoWritten(video, before=True)
        else:
            waiting.append(video)
    yield from _write_all(out, waiting, min(workers or available_processors(), len(waiting)))
    _write_lines(out / "Annotations.txt", made, header=True)
    for split in SPLITS:
        _write_lines(out / _FILES[split], (video for video in made if video.split == split))


def _write_all(out: Path, videos: list[SyntheticVideo], workers: int) -> Iterator[VideoWritten]:
    """Write videos in ``workers`` processes."""
    if workers <= 1:
        for video in videos:
            write_video(video, _path(out, video))
            yield VideoWritten(video, before=False)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    waiting: dict[Future[None], SyntheticVideo] = {}
    try:
        for video in videos:
            waiting[pool.submit(write_video, video, _path(out, video))] = video
        for done in as_completed(waiting):
            done.result()
            yield VideoWritten(waiting[done], before=False)
    except BrokenProcessPool as error:
        raise OutputError(f"{out}: a rendering process was killed; re-run to resume.") from error
    finally:
        # Also when somebody interrupts: what is being written is finished, the rest is left.
        pool.shutdown(wait=True, cancel_futures=True)


def _path(out: Path, video: SyntheticVideo) -> Path:
    return out / VIDEOS / f"{video.id}.mp4"


def _claim(out: Path, world: dict[str, str | int]) -> None:
    """Make ``out`` the place of ``world``, unless something else is there."""
    stamp = out / _STAMP
    try:
        found = json.loads(stamp.read_text()) if stamp.is_file() else None
        foreign = found is None and out.is_dir() and any(not _leftover(path) for path in out.iterdir())
    except (OSError, ValueError) as error:
        raise OutputError(f"{out}: cannot be read as a synthetic dataset ({error}).") from error
    if foreign:
        raise ArgumentError(f"{out}: is not empty and no synthetic dataset; name a new folder.")
    if found is not None and found != world:
        raise ArgumentError(f"{out}: holds another synthetic dataset ({_describe(found)}); name a new folder.")
    with atomic(stamp) as file:
        file.write((json.dumps(world) + "\n").encode())
    sweep(out / VIDEOS)


def _leftover(path: Path) -> bool:
    """Whether a run that was killed has left it."""
    return path.name.startswith(PREFIX)


def _describe(world: dict[str, str | int]) -> str:
    return ", ".join(f"{key} {value}" for key, value in world.items())


def _write_lines(path: Path, videos: Iterable[SyntheticVideo], header: bool = False) -> None:
    lines = [_HEADER] if header else []
    lines += [f"{video.category}&{video.id}&good&{video.start}&{video.end}" for video in videos]
    with atomic(path) as file:
        file.writelines(f"{line}\n".encode() for line in lines)
