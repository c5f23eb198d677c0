"""Builds a prepared cache: every item decoded once, in parallel, resumable, with every failure accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from avfeat.errors import ArgumentError, MediaError
from avfeat.processors import available_processors
from avfeat.training.data.clip import Clip
from avfeat.training.data.index import (
    CacheIndex,
    CacheRow,
    clip_path,
    drop_others,
    read_index,
    write_index,
    write_lines,
)
from avfeat.training.data.lock import NAME as LOCK
from avfeat.training.data.lock import building
from avfeat.training.data.record import record
from avfeat.training.data.settings import CacheError, CacheSettings
from avfeat.training.data.sources import SourceItem, open_source
from avfeat.training.data.sources.media import NoMedia
from avfeat.training.data.worker_pool import Crashed, run_all
from avfeat.writers.atomic import PREFIX

FAILURES = "failures.jsonl"


@dataclass(frozen=True)
class PreparationStarted:
    """The work begins.

    Attributes:
        total: number of items; None where only the end of a stream tells.
    """

    total: int | None


@dataclass(frozen=True)
class ItemStored:
    """An item is in the cache.

    Attributes:
        row: what the index will say.
    """

    row: CacheRow


@dataclass(frozen=True)
class ItemFailed:
    """An item is left out.

    Attributes:
        name: of the item.
        source: the media, as the data set calls it.
        reason: as of a ``MediaError``.
        message: one sentence for people.
    """

    name: str
    source: str
    reason: str
    message: str


@dataclass(frozen=True)
class PreparationFinished:
    """The index is written."""

    index: CacheIndex
    failed: int


Event = PreparationStarted | ItemStored | ItemFailed | PreparationFinished


@dataclass(frozen=True)
class _ItemTask:
    number: int
    item: SourceItem
    settings: CacheSettings
    cache: Path


def prepare(
    data: str,
    cache: Path,
    settings: CacheSettings | None = None,
    *,
    workers: int | None = None,
    max_failed: float = 0.1,
    wait: bool = False,
    verify: bool = True,
) -> Generator[Event, None, None]:
    """Build the cache of ``data`` in the folder ``cache``; yield what becomes of each item as it is known.

    What an earlier run has decoded is kept, also one that was killed; it is read, and what has been damaged on disk
    since is made again. The index appears last, and is the same
    however many runs it took; the clips that it does not name, of other settings or of media that is gone, are then
    removed. Closing the generator stops the work and leaves the finished clips.

    Args:
        data: what to prepare (see ``avfeat.training.data.sources``).
        cache: where to.
        settings: what clips hold; the defaults if None.
        workers: processes, None for one a processor, 0 to work in this one.
        max_failed: the share of items that may fail.
        wait: wait for another process that builds this cache, instead of raising.
        verify: read the clips that are there; else those of unchanged media are known by their sizes alone.

    Raises:
        ArgumentError: ``data`` that is none, or a share outside [0, 1].
        CacheError: more failures than ``max_failed`` allows, or another process builds the cache.
        OutputError: the cache cannot be written.
    """
    if not 0 <= max_failed <= 1:
        raise ArgumentError(f"max_failed must be a share from 0 to 1, not {max_failed!r}.")
    found = open_source(data)
    build = _Build(data, cache, settings or CacheSettings(), max_failed, found.count, verify)
    with building(cache, wait):
        yield PreparationStarted(found.count)
        try:
            count = available_processors() if workers is None else workers
            yield from build.run(found.items, count)
        finally:
            build.write_failures()
            _sweep(cache)
        yield PreparationFinished(build.finish(), len(build.failures))


@dataclass
class _Build:
    """One run."""

    data: str
    cache: Path
    settings: CacheSettings
    max_failed: float
    total: int | None
    verify: bool
    rows: dict[int, CacheRow] = field(default_factory=dict)
    failures: dict[int, ItemFailed] = field(default_factory=dict)

    def run(self, items: Iterable[SourceItem], workers: int) -> Iterator[ItemStored | ItemFailed]:
        kept: list[ItemStored] = []
        with closing(run_all(_prepare, self._to_do(items, kept), workers)) as results:
            for task, result in results:
                yield from _take_all(kept)
                yield self._note(task, result)
        yield from _take_all(kept)

    def finish(self) -> CacheIndex:
        """Write the index, if enough of the items are there, and remove the clips that it does not name."""
        self._check(len(self.rows) + len(self.failures))
        if not self.rows:
            raise CacheError(
                f"{self.data}: none of its {len(self.failures)} clips can be read; {self._most_common_reason()}."
            )
        index = write_index(self.cache, self.settings, [self.rows[number] for number in sorted(self.rows)])
        drop_others(self.cache, index)
        return index

    def write_failures(self) -> None:
        """Write ``failures.jsonl`` as ``avfeat embed`` does."""
        ordered = [self.failures[number] for number in sorted(self.failures)]
        rows = [{"source": one.source, "reason": one.reason, "message": one.message} for one in ordered]
        write_lines(self.cache / FAILURES, rows)

    def _to_do(self, items: Iterable[SourceItem], kept: list[ItemStored]) -> Iterator[_ItemTask]:
        """The items that an earlier run has not done; those that it has go to ``kept``."""
        before = _rows_before(self.cache, self.settings)
        for number, item in enumerate(items):
            row = _find_unchanged(self.cache, item, before.get(item.name))
            if row is None or (self.verify and not _whole(clip_path(self.cache, row.clip))):
                yield _ItemTask(number, item, self.settings, self.cache)
            else:
                self.rows[number] = row
                kept.append(ItemStored(row))

    def _note(self, task: _ItemTask, result: CacheRow | ItemFailed | Crashed) -> ItemStored | ItemFailed:
        if isinstance(result, CacheRow):
            self.rows[task.number] = result
            return ItemStored(result)
        if isinstance(result, Crashed):
            source = task.item.media.name
            message = f"{source}: its decoder crashed, or took more memory than there is."
            result = ItemFailed(task.item.name, source, "unreadable", message)
        self.failures[task.number] = result
        if self.total is not None:
            self._check(self.total)
        return result

    def _check(self, total: int) -> None:
        if len(self.failures) > self.max_failed * total:
            raise CacheError(
                f"{self.data}: {len(self.failures)} of {total} clips failed, more than the share of "
                f"{self.max_failed:g} that max-failed allows; {self._most_common_reason()}."
            )

    def _most_common_reason(self) -> str:
        reason, count = Counter(one.reason for one in self.failures.values()).most_common(1)[0]
        return f"most often ({count} of {len(self.failures)}) {reason}: see {self.cache / FAILURES}"


def _prepare(task: _ItemTask) -> CacheRow | ItemFailed:
    """Make the clip of an item, unless it is there; done in a worker."""
    item = task.item
    try:
        if isinstance(item.media, NoMedia):
            item.media.digest()
        stamp = item.media.stamp()
        clip = task.settings.clip_id(item.media.digest())
        path = clip_path(task.cache, clip)
        if not _whole(path):
            assert not isinstance(item.media, NoMedia)
            record(item.media, task.settings, path, task.cache)
        facts = Clip(path).facts
    except MediaError as error:
        return ItemFailed(item.name, item.media.name, error.reason, str(error))
    ends = (facts.video_end, facts.audio_end, facts.begin, facts.damage)
    return CacheRow(item.name, clip, item.label, item.group, *ends, path.stat().st_size, stamp)


def _whole(path: Path) -> bool:
    """Whether a clip is there, and as it was written."""
    try:
        Clip(path).verify()
    except CacheError:
        return False
    return True


def _rows_before(cache: Path, settings: CacheSettings) -> dict[str, CacheRow]:
    """The rows of an earlier build with the same settings, by name."""
    try:
        index = read_index(cache)
    except CacheError:
        # None, or none that can be read: then nothing is known of earlier builds, and every file is looked at.
        return {}
    return {row.name: row for row in index.rows} if index.settings == settings else {}


def _find_unchanged(cache: Path, item: SourceItem, before: CacheRow | None) -> CacheRow | None:
    """The row of an item whose file is the one that an earlier run prepared, with its label of today."""
    if before is None or before.stamp is None or before.stamp != item.media.stamp():
        return None
    try:
        there = clip_path(cache, before.clip).stat().st_size == before.bytes
    except OSError:
        return None
    return replace(before, label=item.label, group=item.group) if there else None


def _take_all(kept: list[ItemStored]) -> Iterator[ItemStored]:
    yield from kept
    kept.clear()


def _sweep(cache: Path) -> None:
    """Remove what this run and killed ones have left half written; only the holder of the lock may."""
    for folder in (cache, *(cache / "clips").glob("??")):
        for path in folder.glob(f"{PREFIX}*"):
            if path.name != LOCK:
                path.unlink(missing_ok=True)
