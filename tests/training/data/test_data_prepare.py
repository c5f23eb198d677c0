from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import fsspec
import numpy as np
import pytest
from clocks import clock
from dying import Dying
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

from avfeat.errors import ArgumentError, MediaError
from avfeat.training.data import (
    Cache,
    CacheError,
    CacheSettings,
    Event,
    ItemFailed,
    ItemStored,
    PreparationFinished,
    PreparationStarted,
    SourceItem,
    open_or_prepare,
    prepare,
)
from avfeat.training.data.lock import building
from avfeat.training.data.worker_pool import Crashed, run_all
from avfeat.writers.atomic import PREFIX

SMALL = CacheSettings(size=32, sample_rate=8000)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips in two folders, one without sound, one without pictures, two the same."""
    root = tmp_path_factory.mktemp("clips")
    for number in range(3):
        folder = root / ("cat" if number % 2 else "dog")
        folder.mkdir(exist_ok=True)
        video = VideoTrack(1.0 + number / 4, picture=moving_square(64, 48, number))
        make_media(folder / f"{number}.mkv", video, AudioTrack(1.0, sound=chirps(number)))
    make_media(root / "cat" / "silent.mkv", VideoTrack(1.0))
    make_media(root / "cat" / "blind.wav", None, AudioTrack(1.0, codec="pcm_s16le"))
    shutil.copy(root / "dog" / "0.mkv", root / "dog" / "same.mkv")
    return root


def built(data: object, cache: Path, settings: CacheSettings = SMALL, **options: object) -> list[Event]:
    return list(prepare(str(data), cache, settings, **{"workers": 0, **options}))  # type: ignore[arg-type]


def files(cache: Path) -> dict[str, bytes]:
    """All that a cache holds, but for the lock."""
    return {
        str(path.relative_to(cache)): path.read_bytes()
        for path in sorted(cache.rglob("*"))
        if path.is_file() and path.name != f"{PREFIX}lock"
    }


def clip_files(cache: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (cache / "clips").rglob("*.clip")}


def unnamed(cache: Path) -> set[str]:
    """The clip files that no row of the index names."""
    return clip_files(cache).keys() - {f"{row.clip}.clip" for row in Cache(cache).rows}


def test_a_cache_holds_every_item_in_order(clips: Path, tmp_path: Path) -> None:
    events = built(clips, tmp_path / "c")
    assert events[0] == PreparationStarted(6)
    finished = events[-1]
    assert isinstance(finished, PreparationFinished) and finished.failed == 0
    assert len([event for event in events if isinstance(event, ItemStored)]) == 6
    cache = Cache(tmp_path / "c")
    assert [row.name for row in cache.rows] == [
        "cat/1.mkv", "cat/blind.wav", "cat/silent.mkv", "dog/0.mkv", "dog/2.mkv", "dog/same.mkv"
    ]  # fmt: skip
    assert cache.classes == ("cat", "dog") and list(cache.labels) == [0, 0, 0, 1, 1, 1]
    assert list(cache.members("both")) == [0, 3, 4, 5] and list(cache.members()) == list(range(6))
    assert cache.settings == SMALL and len(cache) == 6
    for number, row in enumerate(cache.rows):
        clip = cache.clip(number)
        assert (clip.facts.video_end, clip.facts.audio_end) == (row.video_end, row.audio_end)
    with pytest.raises(ArgumentError, match="required_streams must be"):
        cache.members("video")  # type: ignore[arg-type]


def test_equal_files_are_stored_once(clips: Path, tmp_path: Path) -> None:
    events = built(clips, tmp_path / "c")
    rows = {row.name: row for row in Cache(tmp_path / "c").rows}
    assert rows["dog/0.mkv"].clip == rows["dog/same.mkv"].clip
    sizes = [path.stat().st_size for path in (tmp_path / "c" / "clips").rglob("*.clip")]
    assert isinstance(events[-1], PreparationFinished)
    assert len(sizes) == 5 and events[-1].index.bytes == sum(sizes)


def test_processes_make_no_difference(clips: Path, tmp_path: Path) -> None:
    built(clips, tmp_path / "here")
    built(clips, tmp_path / "there", workers=2)
    assert files(tmp_path / "here") == files(tmp_path / "there")


def test_a_second_run_decodes_nothing_and_changes_nothing(clips: Path, tmp_path: Path) -> None:
    built(clips, tmp_path / "c")
    before, written = files(tmp_path / "c"), clip_files(tmp_path / "c")
    built(clips, tmp_path / "c")
    assert files(tmp_path / "c") == before and clip_files(tmp_path / "c") == written


def test_unchanged_files_are_not_even_read(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path / "clips")
    built(tmp_path / "clips", tmp_path / "c")
    path = tmp_path / "clips" / "cat" / "1.mkv"
    stamp = path.stat()
    # Other bytes under the same size and time: only reading them could tell.
    path.write_bytes(bytes(stamp.st_size))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert isinstance(built(tmp_path / "clips", tmp_path / "c")[-1], PreparationFinished)


def test_added_changed_and_removed_files_are_followed(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path / "clips")
    built(tmp_path / "clips", tmp_path / "c")
    before = clip_files(tmp_path / "c")
    make_media(tmp_path / "clips" / "cat" / "1.mkv", VideoTrack(0.7), None)
    make_media(tmp_path / "clips" / "cat" / "new.mkv", VideoTrack(0.9), None)
    (tmp_path / "clips" / "dog" / "2.mkv").unlink()
    built(tmp_path / "clips", tmp_path / "c")
    assert unnamed(tmp_path / "c") == set()
    after = clip_files(tmp_path / "c")
    rows = {row.name: row for row in Cache(tmp_path / "c").rows}
    # Two clips for two more, and those that are still named as they were.
    assert len(after) == len(before) and len(before.items() & after.items()) == len(before) - 2
    assert rows["cat/1.mkv"].audio_end is None and "cat/new.mkv" in rows and "dog/2.mkv" not in rows
    built(tmp_path / "clips", tmp_path / "fresh")
    assert (tmp_path / "fresh" / "index.json").read_bytes() == (tmp_path / "c" / "index.json").read_bytes()


def test_labels_are_those_of_today(clips: Path, tmp_path: Path) -> None:
    for label in ("one", "two"):
        (tmp_path / "t.csv").write_text(f"file,label\n{clips}/dog/0.mkv,{label}\n")
        built(tmp_path / "t.csv", tmp_path / "c")
        assert Cache(tmp_path / "c").classes == (label,)


def test_lost_and_broken_clips_are_made_again(clips: Path, tmp_path: Path) -> None:
    built(clips, tmp_path / "c")
    before = files(tmp_path / "c")
    lost, broken = sorted((tmp_path / "c" / "clips").rglob("*.clip"))[:2]
    lost.unlink()
    broken.write_bytes(b"half")
    built(clips, tmp_path / "c")
    assert files(tmp_path / "c") == before


def test_damaged_clips_and_no_others_are_made_again(clips: Path, tmp_path: Path) -> None:
    built(clips, tmp_path / "c")
    before, written = files(tmp_path / "c"), clip_files(tmp_path / "c")
    damaged = sorted((tmp_path / "c" / "clips").rglob("*.clip"))[1::2]
    for path in damaged:
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
    built(clips, tmp_path / "c", verify=False)
    assert files(tmp_path / "c") != before
    broken = clip_files(tmp_path / "c")
    built(clips, tmp_path / "c")
    after = clip_files(tmp_path / "c")
    assert files(tmp_path / "c") == before
    assert {name for name in after if after[name] != broken[name]} == {path.name for path in damaged}
    assert written.items() & after.items() == written.items() - {
        (path.name, written[path.name]) for path in damaged
    }


def test_other_settings_are_other_clips(clips: Path, tmp_path: Path) -> None:
    built(clips, tmp_path / "c")
    built(clips, tmp_path / "c", CacheSettings(size=16, sample_rate=8000))
    assert len(clip_files(tmp_path / "c")) == 5 and unnamed(tmp_path / "c") == set()
    assert Cache(tmp_path / "c").clip(0).frames([0]).shape == (1, 16, 16, 3)


def test_only_clips_that_no_row_names_are_removed(clips: Path, tmp_path: Path) -> None:
    built(clips, tmp_path / "c")
    before = files(tmp_path / "c")
    digits = "0123456789abcdef" * 2
    foreign = ["mine.mp4", f"ab/{digits}.clip", "01/holiday.clip", f"01/{digits}.mp4", f"01/{digits}0.clip"]
    for name in (*foreign, f"01/{digits}.clip"):
        path = tmp_path / "c" / "clips" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    built(clips, tmp_path / "c")
    assert files(tmp_path / "c") == before | {str(Path("clips", name)): b"x" for name in foreign}


def test_a_build_that_does_not_finish_removes_no_clip(clips: Path, tmp_path: Path) -> None:
    built(clips, tmp_path / "c")
    before = files(tmp_path / "c")
    with closing(
        prepare(str(clips), tmp_path / "c", CacheSettings(size=16, sample_rate=8000), workers=0)
    ) as events:
        while not isinstance(next(events), ItemStored):
            pass
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.mp4").write_text("text")
    with pytest.raises(CacheError, match="failed"):
        built(tmp_path / "bad", tmp_path / "c")
    (tmp_path / "c" / "failures.jsonl").unlink()
    assert before.items() <= files(tmp_path / "c").items() and len(files(tmp_path / "c")) == len(before) + 1
    for number in range(6):
        Cache(tmp_path / "c").clip(number).frames([0])
    built(clips, tmp_path / "c")
    assert files(tmp_path / "c") == before


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
def test_names_that_are_no_text_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "data" / os.fsdecode(b"\xff \xc3\xa9.mkv")
    path.parent.mkdir()
    make_media(tmp_path / "a.mkv", VideoTrack(0.5)).rename(path)
    built(tmp_path / "data", tmp_path / "c")
    assert [row.name for row in Cache(tmp_path / "c").rows] == [path.name]


# Failures


@pytest.fixture
def mixed(clips: Path, tmp_path: Path) -> Path:
    """Six clips that are fine and two that are not."""
    root = tmp_path / "mixed"
    shutil.copytree(clips, root)
    (root / "cat" / "text.mp4").write_text("no media " * 50)
    (root / "dog" / "empty.mp4").touch()
    return root


def test_failures_are_listed_with_reasons_and_left_out(mixed: Path, tmp_path: Path) -> None:
    events = built(mixed, tmp_path / "c", max_failed=0.25)
    failed = [event for event in events if isinstance(event, ItemFailed)]
    assert [event.reason for event in failed] == ["unreadable", "empty"]
    rows = [json.loads(line) for line in (tmp_path / "c" / "failures.jsonl").read_text().splitlines()]
    assert [row["source"] for row in rows] == [str(mixed / "cat" / "text.mp4"), str(mixed / "dog" / "empty.mp4")]
    assert all(row["source"] in row["message"] and set(row) == {"source", "reason", "message"} for row in rows)
    assert len(Cache(tmp_path / "c")) == 6
    (mixed / "cat" / "text.mp4").unlink()
    (mixed / "dog" / "empty.mp4").unlink()
    built(mixed, tmp_path / "c")
    assert not (tmp_path / "c" / "failures.jsonl").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="a file that cannot be read is in /proc")
def test_a_file_that_cannot_be_read_is_one_failure(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path / "data")
    (tmp_path / "data" / "b.mp4").symlink_to("/proc/self/mem")
    os.mkfifo(tmp_path / "data" / "c.mp4")
    failed = [
        one for one in built(tmp_path / "data", tmp_path / "c", max_failed=0.5) if isinstance(one, ItemFailed)
    ]
    message = f"{tmp_path}/data/b.mp4: cannot be read (Input/output error)."
    assert [(one.name, one.reason, one.message) for one in failed] == [("b.mp4", "unreadable", message)]
    assert len(Cache(tmp_path / "c")) == 6


def test_too_many_failures_stop_the_run(mixed: Path, tmp_path: Path) -> None:
    says = r"mixed: 1 of 8 clips failed, more than the share of 0.1 .* most often \(1 of 1\) unreadable: see "
    with pytest.raises(CacheError, match=says):
        built(mixed, tmp_path / "c")
    assert (tmp_path / "c" / "failures.jsonl").read_text().count("\n") == 1
    with pytest.raises(CacheError, match="never finished"):
        Cache(tmp_path / "c")


def test_the_share_counts_also_where_only_the_end_tells(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    path = make_media(tmp_path / "a.mkv", VideoTrack(0.5))
    (tmp_path / "b.mp4").write_text("text")
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        tar.add(path, "a.mkv")
        tar.add(tmp_path / "b.mp4", "b.mp4")
    files.pipe("/share/s.tar", (tmp_path / "s.tar").read_bytes())
    with pytest.raises(CacheError, match="1 of 2 clips failed"):
        built("memory://share/s.tar", tmp_path / "c", max_failed=0.4)
    events = built("memory://share/s.tar", tmp_path / "c", max_failed=0.5)
    assert events[0] == PreparationStarted(None) and [row.name for row in Cache(tmp_path / "c").rows] == [
        "s.tar/a.mkv"
    ]


def test_nothing_that_can_be_read_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("text")
    with pytest.raises(CacheError, match="none of its 1 clips can be read"):
        built(tmp_path / "a.mp4", tmp_path / "c", max_failed=1.0)


def test_damaged_media_takes_part_and_is_noted(tmp_path: Path) -> None:
    path = make_media(tmp_path / "a.ts", VideoTrack(4.0), AudioTrack(4.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10 // 188 * 188 + 50])
    built(path, tmp_path / "c")
    [row] = Cache(tmp_path / "c").rows
    assert row.damage and row.video_end is not None and 1_000_000 < row.video_end < 4_000_000


def test_arguments_that_no_run_can_have(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="max_failed must be a share"):
        built(clips, tmp_path / "c", max_failed=2)
    with pytest.raises(MediaError, match="no such file or folder"):
        built(tmp_path / "gone", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_caches_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="no prepared cache"):
        Cache(tmp_path)
    for text in ("{", "[]", '{"format": "avfeat-cache", "version": 9, "rows": []}', '{"format": "x"}'):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(CacheError, match="index"):
            Cache(tmp_path)


# Processes


def test_a_clip_that_kills_its_process_is_one_failure(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    # The package's attribute of that name is the function.
    module = sys.modules["avfeat.training.data.prepare"]
    real = module.open_source

    def with_a_killer(data: str):
        found = real(data)
        items = [*found.items]
        items.insert(3, SourceItem("dying", Dying()))  # type: ignore[arg-type]
        return type(found)(items, len(items))

    monkeypatch.setattr(module, "open_source", with_a_killer)
    events = built(clips, tmp_path / "c", workers=2, max_failed=0.2)
    failed = [event for event in events if isinstance(event, ItemFailed)]
    assert [(event.name, event.reason) for event in failed] == [("dying", "unreadable")]
    assert "its decoder crashed" in failed[0].message
    assert len(Cache(tmp_path / "c")) == 6


def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_closing_kills_the_workers_at_once() -> None:
    begun = time.monotonic()
    with closing(run_all(nap, [0.0, 60.0, 60.0, 60.0], 2)) as results:
        _, pid = next(results)
    assert time.monotonic() - begun < 30
    assert not isinstance(pid, Crashed)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_process_at_a_time_builds_a_cache(clips: Path, tmp_path: Path) -> None:
    with building(tmp_path / "c"), pytest.raises(CacheError, match="another process is building"):
        built(clips, tmp_path / "c")
    built(clips, tmp_path / "c")


def command(data: Path, cache: Path) -> list[str]:
    arguments = ["prepare", str(data), str(cache), "--size", "64", "--workers", "2"]
    return [sys.executable, "-m", "avfeat", *arguments]


def processes_of(group: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
@pytest.mark.parametrize("whole_group", [True, False])
def test_a_killed_build_goes_on_to_the_same_cache(tmp_path: Path, whole_group: bool) -> None:
    (tmp_path / "data").mkdir()
    for number in range(40):
        video = VideoTrack(2.0, picture=moving_square(96, 72, number))
        make_media(tmp_path / "data" / f"{number:02}.mp4", video, AudioTrack(2.0, sound=chirps(number)))
    killed = subprocess.Popen(
        command(tmp_path / "data", tmp_path / "killed"), start_new_session=True, stdout=subprocess.DEVNULL
    )
    while not len(clip_files(tmp_path / "killed")) >= 5:
        assert killed.poll() is None, "it was over before it could be killed"
        time.sleep(0.002)
    if whole_group:
        os.killpg(killed.pid, signal.SIGKILL)
    else:
        killed.kill()
    killed.wait()
    # Workers do not outlive a parent that was killed.
    deadline = time.monotonic() + 20
    while processes_of(killed.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(killed.pid) == []
    done = clip_files(tmp_path / "killed")
    assert 5 <= len(done) < 40 and not (tmp_path / "killed" / "index.json").exists()
    (tmp_path / "killed" / "clips" / "00").mkdir(exist_ok=True)
    (tmp_path / "killed" / "clips" / "00" / f"{PREFIX}0123.part").write_bytes(b"half a clip")
    subprocess.run(command(tmp_path / "data", tmp_path / "killed"), check=True, stdout=subprocess.DEVNULL)
    subprocess.run(command(tmp_path / "data", tmp_path / "whole"), check=True, stdout=subprocess.DEVNULL)
    assert done.items() <= clip_files(tmp_path / "killed").items()
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert len(Cache(tmp_path / "whole")) == 40


# The implicit cache


def test_a_cache_is_made_where_none_is(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVFEAT_CACHE", str(tmp_path / "caches"))
    cache = open_or_prepare(str(clips), SMALL, workers=0)
    assert cache.path.parent == tmp_path / "caches" / "prepared" and len(cache) == 6
    monkeypatch.chdir(clips.parent)
    assert open_or_prepare(clips.name, SMALL, workers=0).path == cache.path
    other = open_or_prepare(str(clips), CacheSettings(size=16, sample_rate=8000), root=tmp_path / "r", workers=0)
    assert other.path.parent == tmp_path / "r" and other.path.name != cache.path.name


def test_an_implicit_cache_allows_as_many_failures_as_asked_for(mixed: Path, tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"more than the share of 0\.1"):
        open_or_prepare(str(mixed), SMALL, tmp_path / "r", workers=0)
    assert len(open_or_prepare(str(mixed), SMALL, tmp_path / "r", workers=0, max_failed=0.25)) == 6


def test_a_finished_cache_is_data(clips: Path, tmp_path: Path) -> None:
    built(clips, tmp_path / "c")
    assert open_or_prepare(str(tmp_path / "c")).path == tmp_path / "c"
    with pytest.raises(CacheError, match="prepare its source again"):
        open_or_prepare(str(tmp_path / "c"), CacheSettings())


def test_the_made_world_is_prepared_from_its_name(tmp_path: Path) -> None:
    built("synthetic:ave?videos=2", tmp_path / "c")
    cache = Cache(tmp_path / "c")
    assert len(cache) == 2 and len(cache.members("both")) == 2
    first, second = (cache.clip(number).frames([5_000_000]) for number in range(2))
    assert np.abs(first.astype(int) - second).mean() > 1


def test_local_shards_are_prepared_like_files(clips: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for path in sorted(clips.rglob("*.*")):
            tar.add(path, path.relative_to(clips))
    built(tmp_path / "s.tar", tmp_path / "c")
    built(clips, tmp_path / "d")
    assert clip_files(tmp_path / "c").keys() == clip_files(tmp_path / "d").keys()
    before = (tmp_path / "c" / "index.json").read_bytes()
    built(tmp_path / "s.tar", tmp_path / "c")
    assert (tmp_path / "c" / "index.json").read_bytes() == before


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    """Ten minutes take no more than one: raw, their pictures alone would be 180 MB."""
    code = (
        "import resource, sys; from pathlib import Path; from avfeat.training.data import *\n"
        "list(prepare(sys.argv[1], Path(sys.argv[2]), CacheSettings(), workers=0))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for seconds in (60, 600):
        path = clock(tmp_path / f"{seconds}.mkv", seconds, seconds, fps=Fraction(8))
        ran = subprocess.run(
            [sys.executable, "-c", code, str(path), str(tmp_path / "c")], check=True, capture_output=True, text=True
        )
        peaks.append(int(ran.stdout) / 1024)
    assert peaks[1] < peaks[0] + 30
