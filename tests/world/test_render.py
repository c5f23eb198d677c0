from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from avfeat.errors import ArgumentError
from avfeat.media import decode, probe
from avfeat.world import SyntheticVideo, plan, render, write_video
from avfeat.world.ave import write_ave
from avfeat.world.render import Recording
from avfeat.writers.atomic import Nothing, atomic


@pytest.fixture(scope="module")
def video() -> SyntheticVideo:
    return plan(280)[0]


@pytest.fixture(scope="module")
def written(video: SyntheticVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world") / f"{video.id}.mp4"
    write_video(video, path)
    return path


def test_a_file_is_what_its_recording_says(video: SyntheticVideo, written: Path) -> None:
    recording, info = Recording.from_video(video), probe(written)
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.width, info.video.height) == (recording.width, recording.height)
    assert info.video.fps == pytest.approx(float(recording.fps))
    assert info.audio.sample_rate == recording.rate
    assert info.audio.layout == recording.layout
    assert info.duration == pytest.approx(10, abs=0.06)


def test_arrays_show_and_play_what_the_file_does(video: SyntheticVideo, written: Path) -> None:
    made, read = render(video), decode(written)
    assert made.frames is not None
    assert made.waveform is not None
    assert read.frames is not None
    assert read.waveform is not None
    assert made.frames.shape == (80, 112, 112, 3)
    assert made.frames.shape == read.frames.shape
    # The file shows the frame begun last; its encoder loses detail.
    assert np.abs(made.frames.astype(int) - read.frames).mean() < 6
    assert made.waveform.shape == (160_000,)
    assert not read.damaged
    # Noise differs with the rate; the event does not: compare loudness in steps of 50 ms.
    count = min(len(made.waveform), len(read.waveform)) // 800 * 800
    levels = [np.log(np.abs(w[:count]).reshape(-1, 800).max(1) + 1e-3) for w in (made.waveform, read.waveform)]
    assert np.corrcoef(levels)[0, 1] > 0.8


def test_a_file_has_equal_bytes_every_time(video: SyntheticVideo, written: Path, tmp_path: Path) -> None:
    write_video(video, tmp_path / "again.mp4")
    assert (tmp_path / "again.mp4").read_bytes() == written.read_bytes()


def test_recordings_vary() -> None:
    recordings = [Recording.from_video(video) for video in plan(280)]
    assert len({recording.fps for recording in recordings}) == 7
    assert len({recording.rate for recording in recordings}) == 5
    assert {recording.layout for recording in recordings} == {"mono", "stereo"}
    assert all(recording.width % 2 == recording.height % 2 == 0 for recording in recordings)
    assert len({(recording.width, recording.height) for recording in recordings}) > 10


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ave") / "world"
    assert len(list(write_ave(out, 6, seed=2, workers=1))) == 6
    return out


def test_a_world_has_the_layout_of_ave(world: Path) -> None:
    made = plan(6, seed=2)
    lines = (world / "Annotations.txt").read_text().splitlines()
    assert lines[0] == "Category&VideoID&Quality&StartTime&EndTime"
    assert lines[1:] == [f"{v.category}&{v.id}&good&{v.start}&{v.end}" for v in made]
    rows = [(world / f"{split}Set.txt").read_text().splitlines() for split in ("train", "val", "test")]
    assert sorted(line for split in rows for line in split) == sorted(lines[1:])
    assert {path.name for path in (world / "AVE").iterdir()} == {f"{video.id}.mp4" for video in made}


def test_a_world_is_the_same_with_more_processes(world: Path, tmp_path: Path) -> None:
    list(write_ave(tmp_path / "world", 6, seed=2, workers=2))
    assert digests(tmp_path / "world") == digests(world)


def test_what_is_there_is_kept_and_what_is_lost_is_made_again(world: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(world, tmp_path / "world"))
    lost = copy / "AVE" / f"{plan(6, seed=2)[4].id}.mp4"
    lost.unlink()
    stale = copy / "AVE" / ".avfeat-old.part"
    stale.write_bytes(b"half of a video")
    with atomic(copy / "AVE" / "another.mp4"):
        (fresh,) = set((copy / "AVE").glob(".avfeat-*.part")) - {stale}
        found = {written.video.index: written.before for written in write_ave(copy, 6, seed=2)}
        assert not stale.exists(), "of a run that was killed"
        assert fresh.exists(), "of another run that is at work"
        raise Nothing
    assert found == {0: True, 1: True, 2: True, 3: True, 4: False, 5: True}
    assert digests(copy) == digests(world)


def test_another_world_or_other_files_are_not_mixed_with(world: Path, tmp_path: Path) -> None:
    before = digests(world)
    with pytest.raises(ArgumentError, match="another synthetic dataset"):
        list(write_ave(world, 6, seed=3))
    assert digests(world) == before
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ArgumentError, match="not empty"):
        list(write_ave(tmp_path, 6))
    assert digests(tmp_path).keys() == {"thesis.txt"}


@pytest.mark.skipif(os.name != "posix", reason="kills with a signal")
def test_a_world_that_was_killed_goes_on(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "world"
    command = [sys.executable, "-m", "avfeat", "synth", "ave", str(out), "--videos", "6", "--seed", "2"]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("AVE/*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(out.glob("AVE/*.mp4"))
    subprocess.run(command, check=True, capture_output=True)
    assert digests(out) == digests(world)


def test_the_definition_is_frozen() -> None:
    """Version 1 stays as it is: plan and scenes against figures taken when it was frozen."""
    frozen = json.loads((Path(__file__).parent / "frozen.json").read_text())
    made = plan(280)
    assert [made[k].id for k in range(0, 280, 40)] == frozen["ids"]
    for row in frozen["videos"]:
        found = describe(made[row["index"]])
        assert found["interval"] == row["interval"]
        np.testing.assert_allclose(found["colours"], row["colours"], atol=1.0)
        np.testing.assert_allclose(found["levels"], row["levels"], rtol=0.02, atol=1e-4)


def describe(video: SyntheticVideo) -> dict[str, list[float]]:
    """A synthetic video in a few numbers that no processor's rounding changes much."""
    made = render(video)
    assert made.frames is not None
    assert made.waveform is not None
    colours = made.frames[[4, 40, 76]].reshape(3, 4, 28, 4, 28, 3).mean((2, 4)).reshape(-1)
    levels = np.sqrt((made.waveform.reshape(20, -1) ** 2).mean(1))
    return {
        "interval": [video.start, video.end],
        "colours": [round(float(value), 2) for value in colours],
        "levels": [round(float(value), 6) for value in levels],
    }
