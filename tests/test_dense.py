"""Dense rows: a row a frame, a row a step of sound, with their times, through everything that hands them on."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pyarrow.parquet
import pytest
from making import AudioTrack, VideoTrack, make_media
from onnx import parser
from onnx.reference import ReferenceEvaluator

import avfeat
from avfeat import Bundle, BundleError, Embedding
from avfeat.bundle import write_bundle
from avfeat.dense import DenseRows
from avfeat.embedding import DENSE, dense_of
from avfeat.evaluation.embedders import BundleEmbedder
from avfeat.media import VideoSpec
from avfeat.verify import verify
from avfeat.writers import FORMATS
from avfeat.writers.npz import read_npz

# Mean colours of each frame; mean and peak of each 25 ms of sound, with half a second of padding behind it.
VIDEO = """<ir_version: 10, opset_import: ["": 18]>
video (uint8[batch, 4, height, width, 3] frames) => (float[batch, 3] features, float[batch, 4, 3] frame_features)
<int64[1] time = {1}, int64[2] places = {2, 3}> {
    pixels = Cast <to = 1> (frames)
    frame_features = ReduceMean <keepdims = 0> (pixels, places)
    features = ReduceMean <keepdims = 0> (frame_features, time)
}"""
AUDIO = """<ir_version: 10, opset_import: ["": 18]>
audio (float[batch, samples] waveform) => (float[batch, 2] features, float[batch, steps, 2] frame_features)
<int64[4] padding = {0, 0, 0, 8000}, int64[1] one = {1}, int64[1] time = {1}> {
    padded = Pad (waveform, padding)
    loud = Abs (padded)
    channel = Unsqueeze (loud, one)
    mean = AveragePool <kernel_shape = [400], strides = [400]> (channel)
    peak = MaxPool <kernel_shape = [400], strides = [400]> (channel)
    both = Concat <axis = 1> (mean, peak)
    frame_features = Transpose <perm = [0, 2, 1]> (both)
    features = ReduceMean <keepdims = 0> (frame_features, time)
}"""
STEPS = DenseRows("frame_features", 2, 40, 0.0125, 0.025)


def parts() -> tuple[dict[str, Any], dict[str, bytes]]:
    """What a bundle of the two says, and its files."""
    rng = np.random.default_rng(0)
    inputs = {
        "frames": rng.integers(0, 256, (2, 4, 20, 24, 3), np.uint8),
        "waveform": rng.uniform(-1, 1, (2, 16_000)).astype(np.float32),
    }
    golden, files = dict(inputs), {}
    for modality, text, name in (("video", VIDEO, "frames"), ("audio", AUDIO, "waveform")):
        model = parser.parse_model(text)
        found = ReferenceEvaluator(model).run(None, {name: inputs[name]})
        golden |= {f"{modality}_features": found[0], f"{modality}_frames": found[1][:, :40]}
        files[f"{modality}.onnx"] = model.SerializeToString()
    packed = io.BytesIO()
    np.savez(packed, **golden)
    frames = {"name": "frame_features", "dim": 3, "rows": 4, "first": 0.125, "period": 0.25}
    steps = {"name": "frame_features", "dim": 2, "rows": 40, "first": 0.0125, "period": 0.025}
    manifest = {
        **{"name": "dense", "licence": "MIT", "seconds": 1.0, "precision": "fp32", "provenance": {}, "parity": {}},
        "video": {
            "files": {"onnx": "video.onnx"},
            "input": {"name": "frames", "dtype": "uint8", "shape": ["batch", 4, "height", "width", 3]},
            "outputs": {"features": {"name": "features", "dim": 3}, "frames": frames},
            **{"fps": 4, "frames": 4, "size": 32},
        },
        "audio": {
            "files": {"onnx": "audio.onnx"},
            "input": {"name": "waveform", "dtype": "float32", "shape": ["batch", "samples"]},
            "outputs": {"features": {"name": "features", "dim": 2}, "frames": steps},
            "sample_rate": 16_000,
        },
    }
    return manifest, {**files, "golden.npz": packed.getvalue()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("dense") / "bundle", *parts()).path


@pytest.fixture(scope="module")
def dense(folder: Path) -> avfeat.Encoder:
    return avfeat.load(folder, device="cpu")


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound for a second longer than video."""
    path = tmp_path_factory.mktemp("short") / "short.mkv"
    return make_media(path, VideoTrack(1.4), AudioTrack(2.5, codec="pcm_s16le"))


@pytest.fixture(scope="module")
def embedding(dense: avfeat.Encoder, short: Path) -> Embedding:
    return dense.embed(short, hop=0.5)


def test_rows_are_those_of_the_frames_and_steps(dense: avfeat.Encoder) -> None:
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (8, 32, 32, 3), np.uint8)
    waveform = rng.uniform(-1, 1, 32_000).astype(np.float32)
    found = dense.embed_arrays(frames, 4, waveform, 16_000)
    assert found.video_frames.dtype == found.audio_frames.dtype == np.float32
    np.testing.assert_allclose(found.video_frames, frames.mean((1, 2)).reshape(2, 4, 3), rtol=1e-5)
    steps = np.abs(waveform).reshape(2, 40, 400)
    np.testing.assert_allclose(found.audio_frames, np.stack([steps.mean(2), steps.max(2)], 2), rtol=1e-5)
    np.testing.assert_allclose(found.video, found.video_frames.mean(1), rtol=1e-5)


def test_times_lie_on_the_timeline(embedding: Embedding) -> None:
    assert embedding.video_frame_times.dtype == embedding.audio_frame_times.dtype == np.float64
    np.testing.assert_array_equal(embedding.start, [0, 0.5, 1.0, 1.5])
    np.testing.assert_array_equal(embedding.video_frame_times[1], [0.625, 0.875, 1.125, 1.375])
    np.testing.assert_allclose(embedding.audio_frame_times[2], 1.0 + 0.0125 + 0.025 * np.arange(40), rtol=1e-12)


@pytest.mark.parametrize(("fps", "frames"), [(1.5, 3), (30000 / 1001, 30), (8, 16), (1 / 3, 1)])
def test_times_of_frames_are_those_at_which_they_are_taken(fps: float, frames: int) -> None:
    rows = DenseRows("frame_features", 3, frames, 0.5 / fps, 1 / fps)
    np.testing.assert_array_equal(rows.offsets(), VideoSpec(fps, frames, None).offsets())


def test_a_missing_stream_is_zeros(dense: avfeat.Encoder, embedding: Embedding, tmp_path: Path) -> None:
    np.testing.assert_array_equal(embedding.has_video, [True, True, True, False])
    assert not embedding.video_frames[3].any() and embedding.video_frames[:3].all()
    silent = dense.embed(make_media(tmp_path / "silent.mkv", VideoTrack(1.0), None))
    assert silent.audio_frames.shape == (1, 40, 2) and not silent.audio_frames.any()
    assert silent.audio_frame_times.shape == (1, 40)


def test_windows_of_a_stream_are_the_rows(dense: avfeat.Encoder, embedding: Embedding, short: Path) -> None:
    for given, row in zip(dense.stream(short, hop=0.5), embedding.windows(), strict=True):
        for name in DENSE:
            np.testing.assert_allclose(getattr(given, name), getattr(row, name), rtol=1e-6)


def test_a_bundle_without_them_has_none(encoder: avfeat.Encoder, short: Path) -> None:
    found = encoder.embed(short)
    assert dense_of(found) == {} and dense_of(next(found.windows())) == {}


def test_formats_carry_them(embedding: Embedding, tmp_path: Path) -> None:
    for form in ("npz", "parquet", "h5", "jsonl"):
        FORMATS[form].write(tmp_path / f"a.{form}", embedding)
    read: dict[str, list[Any]] = {}
    read["npz"] = [dict(zip(DENSE, row, strict=True)) for row in zip(*_arrays(tmp_path / "a.npz"), strict=True)]
    with h5py.File(tmp_path / "a.h5") as store:
        read["h5"] = [{name: store[name][row] for name in DENSE} for row in range(len(embedding))]
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert str(table.schema.field("video_frames").type).count("fixed_size_list") == 2
    read["parquet"] = table.to_pylist()
    read["jsonl"] = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    for form, rows in read.items():
        for row, window in zip(rows, embedding.windows(), strict=True):
            for name, values in dense_of(window).items():
                if form in ("parquet", "jsonl") and name == "video_frames" and not window.has_video:
                    assert row[name] is None
                else:
                    np.testing.assert_array_equal(np.array(row[name], values.dtype), values)


def _arrays(path: Path) -> list[Any]:
    whole = read_npz(path)
    assert whole is not None
    return [whole[0][name] for name in DENSE]


def test_tables_of_many_carry_them(embedding: Embedding, tmp_path: Path) -> None:
    for form in ("parquet", "h5", "jsonl"):
        table = FORMATS[form].table
        assert table is not None
        with table(tmp_path / f"all.{form}") as add:
            add(embedding)
            add(embedding)
    with h5py.File(tmp_path / "all.h5") as store:
        np.testing.assert_array_equal(store["audio_frames"][4:], embedding.audio_frames)
    assert pyarrow.parquet.read_table(tmp_path / "all.parquet").num_rows == 8


def test_a_table_is_gone_on_with(folder: Path, short: Path, avfeat_command, dense: avfeat.Encoder) -> None:
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        Path(name).write_bytes(short.read_bytes())
    said = ("--model", folder, "-o", "t.parquet", "--hop", 0.5)
    assert avfeat_command("embed", "a.mkv", "b.mkv", *said).status == 0
    first = Path("t.parquet").read_bytes()
    ran = avfeat_command("embed", "a.mkv", "b.mkv", *said)
    assert ran.status == 0 and Path("t.parquet").read_bytes() == first
    wanted = dense.embed(short, hop=0.5)
    for added, hop in ((("c.mkv",), 0.5), ((), 1.0)):
        ran = avfeat_command("embed", "a.mkv", "b.mkv", *added, *said[:-1], hop)
        assert ran.status == 0, ran.err
        rows = list(avfeat.read_many("t.parquet"))
        assert [Path(row.source).name for row in rows] == ["a.mkv", "b.mkv", *added]
        again = wanted if hop == 0.5 else dense.embed(short, hop=hop)
        for row in rows:
            assert row.video_frames is not None and row.audio_frames is not None
            np.testing.assert_array_equal(row.video_frames, again.video_frames)
            np.testing.assert_array_equal(row.audio_frame_times, again.audio_frame_times)
    # What was cut off is made again.
    Path("t.parquet").write_bytes(Path("t.parquet").read_bytes()[:-100])
    assert avfeat_command("embed", "a.mkv", *said).status == 0
    assert [len(row) for row in avfeat.read_many("t.parquet")] == [len(wanted)]


def test_evaluations_leave_them_out(dense: avfeat.Encoder, short: Path) -> None:
    (found,) = BundleEmbedder(dense).embed_many([short], hop=1.0, start=0.0, workers=1)
    assert isinstance(found, Embedding) and dense_of(found) == {} and found.video.any()


def test_verify_compares_them(folder: Path, tmp_path: Path) -> None:
    checks = verify(Bundle.open(folder))
    assert [(check.modality, check.output) for check in checks] == [
        (modality, output) for modality in ("video", "audio") for output in ("features", "frames")
    ]
    assert all(check.ok for check in checks)
    manifest, files = parts()
    with np.load(io.BytesIO(files["golden.npz"])) as golden:
        arrays = dict(golden)
    arrays["audio_frames"] = arrays["audio_frames"] * np.float32(1.01)
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    other = write_bundle(tmp_path / "other", manifest, {**files, "golden.npz": packed.getvalue()})
    assert [check.ok for check in verify(other)] == [True, True, True, False]


def test_info_says_so(folder: Path, avfeat_command) -> None:
    ran = avfeat_command("info", folder, "--json", "-")
    found = json.loads(ran.out)
    assert found["audio"]["dense"] == {
        "name": "frame_features", "dim": 2, "rows": 40, "first": 0.0125, "period": 0.025
    }  # fmt: skip
    assert "features 3, no shared space, 4 dense rows of 3" in avfeat_command("info", folder).out


def test_a_graph_with_fewer_rows_than_described(tmp_path: Path) -> None:
    manifest, files = parts()
    model = onnx.load_from_string(files["audio.onnx"])
    (wide,) = (node for node in model.graph.node if node.op_type == "Pad")
    wide.input[1] = "none"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 0, 0, -8000]), "none"))
    path = write_bundle(tmp_path / "b", manifest, {**files, "audio.onnx": model.SerializeToString()}).path
    with avfeat.load(path, device="cpu") as encoder, pytest.raises(BundleError, match="gives 20 rows for a window"):
        encoder.embed_arrays(None, None, np.ones(16_000, np.float32), 16_000)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": 41}, "'rows' must be 1 or more, all of them within the window"),
        ({"rows": 0}, "'rows' must be 1 or more"),
        ({"rows": 10**400}, "'rows' must be 1 or more"),
        ({"rows": 4.0}, "'rows' must be of type int"),
        ({"first": -0.1}, "'first' must be a positive number or 0"),
        ({"first": False}, "'first' must be a positive number or 0"),
        ({"period": 0}, "'period' must be a positive number"),
        ({"dim": 0}, "'dim' must be from 1"),
        ({"period": 1e-9, "rows": 2**20, "dim": 2**20}, "'rows' and dim make windows of more than"),
    ],
)
def test_what_they_are_said_to_be_is_checked(folder: Path, tmp_path: Path, change: dict, said: str) -> None:
    manifest, files = parts()
    manifest["audio"]["outputs"]["frames"] |= change
    with pytest.raises(BundleError, match=said):
        write_bundle(tmp_path / "b", manifest, files)


def test_the_first_row_may_lie_at_the_start(tmp_path: Path) -> None:
    manifest, files = parts()
    manifest["audio"]["outputs"]["frames"]["first"] = 0
    assert Bundle.open(write_bundle(tmp_path / "b", manifest, files).path).graph("audio").frames.first == 0
