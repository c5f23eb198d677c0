"""Bundles of one modality, with and without a shared space: what the pair gives for it, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

import avfeat
from avfeat import ArgumentError, Bundle, BundleError, Encoder, Failure, MediaError
from avfeat.bundle import Modality
from avfeat.verify import verify

OTHER: dict[Modality, Modality] = {"video": "audio", "audio": "video"}


@pytest.fixture(params=OTHER)
def modality(request: pytest.FixtureRequest) -> Modality:
    return request.param


@pytest.fixture
def folder(modality: Modality, video_alone: Path, audio_alone: Path) -> Path:
    return video_alone if modality == "video" else audio_alone


@pytest.fixture
def alone(folder: Path) -> Encoder:
    return avfeat.load(folder, device="cpu")


@pytest.fixture
def without(modality: Modality, tmp_path: Path) -> Path:
    """A file that has only what the bundle does not take."""
    video, audio = (None, AudioTrack(1.0)) if modality == "video" else (VideoTrack(1.0), None)
    return make_media(tmp_path / "without.mkv", video, audio)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files whose streams begin, and end, at different times; by the stream that comes first."""
    folder = tmp_path_factory.mktemp("apart")

    def made(name: str, video: float, audio: float) -> Path:
        # AAC would end some milliseconds later.
        sound = AudioTrack(4.0, start=audio, codec="pcm_s16le")
        return make_media(folder / name, VideoTrack(4.0, start=video), sound)

    return {"video": made("v.mkv", 0.0, 1.5), "audio": made("a.mkv", 1.5, 0.0)}


def test_rows_are_those_of_the_pair(alone: Encoder, encoder: Encoder, modality: Modality, clip: Path) -> None:
    found, pair, other = alone.embed(clip), encoder.embed(clip), OTHER[modality]
    np.testing.assert_array_equal(found.start, pair.start)
    np.testing.assert_array_equal(getattr(found, modality), getattr(pair, modality))
    assert getattr(found, f"has_{modality}").all() and not getattr(found, f"has_{other}").any()
    for name in (other, f"{other}_shared"):
        assert getattr(found, name).shape == (len(found), 0)
    np.testing.assert_array_equal(found.pooled(), alone.embed(clip).pooled())
    assert found.pooled().shape == getattr(found, modality).shape[1:]


def test_its_shared_space_is_that_of_the_pair_or_of_no_width(
    alone: Encoder, encoder: Encoder, modality: Modality, clip: Path
) -> None:
    found = getattr(alone.embed(clip), f"{modality}_shared")
    if modality == "video":
        np.testing.assert_array_equal(found, encoder.embed(clip).video_shared)
    else:
        assert found.shape == (3, 0)


@pytest.mark.parametrize("first", ["video", "audio"])
def test_a_stream_that_is_left_out_counts_for_time_0(
    alone: Encoder, encoder: Encoder, modality: Modality, apart: dict[str, Path], first: str
) -> None:
    found, pair = alone.embed(apart[first]), encoder.embed(apart[first])
    # The one that comes later ends at 5.5 s: three windows. The first ends at 4 s: two.
    assert len(pair) == 3 and len(found) == (2 if first == modality else 3)
    assert found.duration == pytest.approx(4.0 if first == modality else 5.5, abs=0.05)
    np.testing.assert_array_equal(found.start, pair.start[: len(found)])
    np.testing.assert_array_equal(getattr(found, modality), getattr(pair, modality)[: len(found)])
    there = getattr(pair, f"has_{modality}")
    np.testing.assert_array_equal(getattr(found, f"has_{modality}"), there[: len(found)])
    assert not there[len(found) :].any()


def test_stream_gives_what_embed_gives(alone: Encoder, modality: Modality, apart: dict[str, Path]) -> None:
    found, windows = alone.embed(apart["video"], hop=1.0), list(alone.stream(apart["video"], hop=1.0))
    np.testing.assert_array_equal(found.start, [window.start for window in windows])
    np.testing.assert_array_equal(getattr(found, modality), [getattr(window, modality) for window in windows])


def test_a_file_without_that_stream_is_a_failure(
    alone: Encoder, modality: Modality, without: Path, clip: Path
) -> None:
    with pytest.raises(MediaError) as raised:
        alone.embed(without)
    assert raised.value.reason == "no_streams" and f"has no {modality}" in str(raised.value)
    failure, found = alone.embed_many([without, clip])
    assert isinstance(failure, Failure) and failure.reason == "no_streams" and len(found) == 3


def test_a_job_goes_on_after_files_without_that_stream(
    avfeat_command: Any, folder: Path, modality: Modality, without: Path, clip: Path
) -> None:
    ran = avfeat_command("embed", without, clip, "--model", folder, "-o", "out")
    assert ran.status == 1
    failures = [json.loads(line) for line in Path("out/failures.jsonl").read_text("utf-8").splitlines()]
    assert [one["reason"] for one in failures] == ["no_streams"]
    assert [path.name for path in Path("out").glob("*.npz")] == [f"{clip.name}.npz"]


def test_arrays_that_it_does_not_take_are_refused(alone: Encoder, modality: Modality) -> None:
    frames, waveform = np.zeros((16, 32, 32, 3), np.uint8), np.zeros(32_000, np.float32)
    taken = alone.embed_arrays(frames, 8, waveform, 16_000)
    assert getattr(taken, f"has_{modality}").all() and not getattr(taken, f"has_{OTHER[modality]}").any()
    wrong = (None, None, waveform, 16_000) if modality == "video" else (frames, 8, None, None)
    wanted = "frames" if modality == "video" else "a waveform"
    with pytest.raises(
        ArgumentError, match=rf"^{modality}-only takes {wanted} alone; give embed_arrays {wanted}\.$"
    ):
        alone.embed_arrays(*wrong)


def test_what_is_not_there_is_named(folder: Path, modality: Modality) -> None:
    bundle, other = Bundle.open(folder), OTHER[modality]
    assert list(bundle.graphs) == [modality] and bundle.formats == ("onnx",)
    assert getattr(bundle, other) is None
    with pytest.raises(BundleError, match=f"has no {other} encoder; take a bundle that has one"):
        bundle.graph(other)


def test_it_verifies(folder: Path, modality: Modality, avfeat_command: Any) -> None:
    outputs = ["features", "shared"] if modality == "video" else ["features"]
    checks = verify(Bundle.open(folder), "cpu")
    assert [(check.modality, check.output, check.ok) for check in checks] == [(modality, o, True) for o in outputs]
    assert avfeat_command("verify", folder).status == 0


def test_info_describes_it(folder: Path, modality: Modality, avfeat_command: Any) -> None:
    described = json.loads(avfeat_command("info", folder, "--json", "-").out)
    other = OTHER[modality]
    assert described[other] is None and described[modality]["features"] > 0
    assert (described[modality]["shared"] is None) is (modality == "audio")
    shown = {line.split()[0]: line for line in avfeat_command("info", folder).out.splitlines()}
    assert shown[other].split() == [other, "none"]
    assert ("no shared space" in shown[modality]) is (modality == "audio")


@pytest.mark.parametrize("form", ["npz", "npy", "jsonl", "parquet", "h5"])
def test_every_format_holds_its_rows(
    avfeat_command: Any, alone: Encoder, folder: Path, modality: Modality, clip: Path, form: str
) -> None:
    ran = avfeat_command("embed", clip, "--model", folder, "-o", f"rows.{form}", "--format", form)
    assert ran.status == 0, ran.err
    expected, other, path = alone.embed(clip), OTHER[modality], Path(f"rows.{form}")
    rows, empty = getattr(expected, modality), (len(expected), 0)
    if form == "npy":
        np.testing.assert_array_equal(np.load(path), expected.pooled())
    elif form == "npz":
        with np.load(path) as found:
            np.testing.assert_array_equal(found[modality], rows)
            assert found[other].shape == found[f"{other}_shared"].shape == empty and not found[f"has_{other}"].any()
    elif form == "h5":
        with h5py.File(path) as found:
            np.testing.assert_array_equal(found[modality][:], rows)
            assert found[other].shape == found[f"{other}_shared"].shape == empty
    else:
        lines = path.read_text("utf-8").splitlines() if form == "jsonl" else []
        table = [json.loads(line) for line in lines] or pyarrow.parquet.read_table(path).to_pylist()
        np.testing.assert_array_equal(np.array([row[modality] for row in table], np.float32), rows)
        assert all(row[other] is None and row[f"{other}_shared"] is None for row in table)


def test_a_table_of_several_files(avfeat_command: Any, folder: Path, modality: Modality, apart: Any) -> None:
    ran = avfeat_command("embed", *apart.values(), "--model", folder, "-o", "all.parquet")
    assert ran.status == 0, ran.err
    table = pyarrow.parquet.read_table("all.parquet")
    assert table.num_rows == 5
    # The outputs that are not there are columns all the same.
    assert {"video", "audio", "video_shared", "audio_shared"} <= set(table.column_names)
    assert table.column(OTHER[modality]).null_count == 5


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of two classes in folders."""
    root = tmp_path_factory.mktemp("labelled")
    for number in range(6):
        kind = number % 2
        (root / "ab"[kind]).mkdir(exist_ok=True)
        video = VideoTrack(1.0, picture=moving_square(48, 32, kind))
        make_media(root / "ab"[kind] / f"{number}.mp4", video, AudioTrack(1.0, 16_000, chirps(6 * kind)))
    return root


def test_nearest_neighbours(
    avfeat_command: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    folder: Path,
    modality: Modality,
    labelled: Path,
) -> None:
    monkeypatch.setenv("AVFEAT_CACHE", str(tmp_path / "cache"))
    ran = avfeat_command("eval", "knn", labelled, "--model", folder, "--json", "out.json")
    assert ran.status == 0, ran.err
    values = json.loads(Path("out.json").read_text("utf-8"))
    assert values["accuracy"] == {modality: 1.0}
    row = next(line for line in ran.out.splitlines() if line.startswith(f"{modality}-only"))
    assert row.count("-") > 1 and "100.0" in row


def test_retrieval_without_a_counterpart(
    avfeat_command: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    folder: Path,
    modality: Modality,
    labelled: Path,
) -> None:
    monkeypatch.setenv("AVFEAT_CACHE", str(tmp_path / "cache"))
    ran = avfeat_command("eval", "retrieval", labelled, "--model", folder, "--json", "out.json")
    assert ran.status == 0, ran.err
    shared = {"video_to_video_shared"} if modality == "video" else set()
    recall = json.loads(Path("out.json").read_text("utf-8"))["recall"]
    assert set(recall) == {f"{modality}_to_{modality}"} | shared
