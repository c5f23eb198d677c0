"""Bundles from anybody: each is opened or refused with one sentence, and nothing is waited for or filled up."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_bundle import FILES, change, default_manifest, refusal

from avfeat import Bundle, BundleError
from avfeat.backends import open_session
from avfeat.backends.onnx_file import UNNAMED, external_files
from avfeat.bundle import default_bundle, find_bundle, write_bundle
from avfeat.cli.info import describe

onnx = pytest.importorskip("onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", default_manifest(), FILES).path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("seconds",), 1e-7),
        (("seconds",), 10**400),
        (("video", "frames"), 10**400),
        (("video", "size"), 10**400),
        (("audio", "sample_rate"), 10**9),
        (("audio", "sample_rate"), 10**400),
        (("video", "outputs", "features", "dim"), 10**12),
        (("video", "files"), {"\x1b[31m": "\x1b[31m"}),
    ],
)
def test_numbers_beyond_reason(folder: Path, path: tuple[str, ...], value: Any) -> None:
    change(folder, path, value)
    assert "bundle.json" in refusal(folder)


def test_windows_of_gigabytes(folder: Path) -> None:
    manifest = json.loads((folder / "bundle.json").read_text("utf-8"))
    manifest["seconds"], manifest["video"]["frames"] = 20_000, round(20_000 * manifest["video"]["fps"])
    (folder / "bundle.json").write_text(json.dumps(manifest), "utf-8")
    assert "windows of more than" in refusal(folder)


@pytest.mark.parametrize("name", ["video.onnx", "bundle.json"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_and_devices(folder: Path, name: str, kind: str) -> None:
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero")
    assert "not an ordinary file" in refusal(folder)


@pytest.mark.parametrize("name", ["a\x1b[31mb", "\ud800", "a\nb", "a" * 5000])
def test_names_that_no_file_should_have(folder: Path, name: str) -> None:
    change(folder, ("sha256", name), hashlib.sha256(b"").hexdigest())
    refusal(folder)


@pytest.mark.parametrize("depth", [100, 3000, 100_000])
def test_nested_brackets(folder: Path, depth: int) -> None:
    text = (folder / "bundle.json").read_text("utf-8").rstrip()
    (folder / "bundle.json").write_text(text[:-1] + ', "x": ' + "[" * depth + "]" * depth + "}", "utf-8")
    assert "is not JSON" in refusal(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner = (
        [place for key, one in value.items() for place in places(one, (*path, key))]
        if isinstance(value, dict)
        else []
    )
    return [path, *inner] if path else inner


@given(st.data())
def test_any_value_at_any_place_is_opened_or_refused(tmp_path_factory: Any, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    if not folder.exists():
        write_bundle(folder, default_manifest(), FILES)
        (folder.parent / "any.json").write_bytes((folder / "bundle.json").read_bytes())
    manifest = json.loads((folder.parent / "any.json").read_bytes())
    inner, path = copy.deepcopy(manifest), data.draw(st.sampled_from(places(manifest)))
    holder = inner
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = data.draw(JSON)
    (folder / "bundle.json").write_text(json.dumps(inner), "utf-8")
    try:
        describe(Bundle.open(folder))
    except BundleError as error:
        assert str(error)


@pytest.mark.parametrize("name", ["base", "base-int8"])
def test_files_that_ship_refer_to_no_other(name: str) -> None:
    for path in find_bundle(name).glob("*.onnx"):
        assert not external_files(path)


@pytest.mark.parametrize("place", ["initializer", "attribute", "inner graph"])
def test_values_in_another_file(tmp_path: Path, place: str) -> None:
    tensor = onnx.TensorProto(name="w", dims=[1], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value="../secret")
    model = onnx.ModelProto()
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "attribute":
        model.graph.node.add().attribute.add(name="value", t=tensor)
    else:
        model.graph.node.add().attribute.add(name="body").g.initializer.append(tensor)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert external_files(path) == {"../secret"}


def test_every_place_that_a_tensor_names_counts(tmp_path: Path) -> None:
    tensor = onnx.TensorProto(name="w", dims=[1], data_type=1, data_location=1)
    path = tmp_path / "model.onnx"
    for names, found in (((), {UNNAMED}), (("a",), {"a"}), (("a", "b", "a"), {"a", "b"})):
        del tensor.external_data[:]
        tensor.external_data.add(key="offset", value="0")
        for name in names:
            tensor.external_data.add(key="location", value=name)
        path.write_bytes(onnx.ModelProto(graph=onnx.GraphProto(initializer=[tensor])).SerializeToString())
        assert external_files(path) == found


def with_values_at(location: str) -> tuple[dict[str, bytes], bytes]:
    """The files of the default bundle, a tensor of whose audio says that it lies at ``location``, and its bytes."""
    files = {path.name: path.read_bytes() for path in default_bundle().iterdir() if path.name != "bundle.json"}
    model = onnx.load_from_string(files["audio.onnx"])
    held = next(one for one in model.graph.initializer if len(one.raw_data) > 1000)
    values = held.raw_data
    held.ClearField("raw_data")
    held.data_location = onnx.TensorProto.EXTERNAL
    held.external_data.add(key="location", value=location)
    return {**files, "audio.onnx": model.SerializeToString()}, values


def test_values_in_another_file_that_is_listed(tmp_path: Path) -> None:
    files, values = with_values_at("loose")
    bundle = write_bundle(tmp_path / "b", default_manifest(), {**files, "loose": values})
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 16_000)).astype(np.float32)
    found = open_session(bundle, "audio", "onnx", "cpu", 1).run(waveform)
    whole = open_session(Bundle.open(default_bundle()), "audio", "onnx", "cpu", 1).run(waveform)
    np.testing.assert_array_equal(found.features, whole.features)
    (bundle.path / "loose").write_bytes(values[:-1] + bytes([values[-1] ^ 1]))
    with pytest.raises(BundleError, match="loose: differs from its checksum"):
        Bundle.open(bundle.path)
    (bundle.path / "loose").unlink()
    with pytest.raises(BundleError, match="loose: is missing"):
        Bundle.open(bundle.path)


@pytest.mark.parametrize("location", ["loose", "./listed", "../b/listed", "LISTED", "", "*/_ORT_MEM_ADDR_/*"])
def test_values_in_another_file_that_is_not_listed(tmp_path: Path, location: str) -> None:
    files, values = with_values_at(location)
    bundle = write_bundle(tmp_path / "b", default_manifest(), {**files, "listed": values})
    (bundle.path / "loose").write_bytes(values)
    with pytest.raises(BundleError, match=r"audio\.onnx: has values in another file, which no checksum covers"):
        open_session(bundle, "audio", "onnx", "cpu", 1)


@pytest.mark.parametrize(
    "entry",
    [
        {"length": "6273"},
        {"length": "4"},
        {"length": "-1"},
        {"length": str(2**63)},
        {"offset": "1"},
        {"offset": "-1"},
        {"offset": str(2**62)},
        {"offset": "x"},
    ],
    ids=lambda entry: "-".join(*entry.items()),
)
def test_values_that_lie_elsewhere_in_the_file_than_they_are(
    entry: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files, values = with_values_at("loose")
    model = onnx.load_from_string(files["audio.onnx"])
    (held,) = (one for one in model.graph.initializer if one.external_data)
    for key, value in entry.items():
        held.external_data.add(key=key, value=value)
    files["audio.onnx"] = model.SerializeToString()
    bundle = write_bundle(tmp_path / "b", default_manifest(), {**files, "loose": values})
    with pytest.raises(BundleError, match=r"audio\.onnx: ONNX Runtime cannot load it") as raised:
        open_session(bundle, "audio", "onnx", "cpu", 1)
    # It is said once, on one line.
    assert "\n" not in str(raised.value) and capfd.readouterr().err == ""


@pytest.mark.parametrize("kept", [0, 100, -4])
def test_values_that_are_not_all_there(kept: int, tmp_path: Path) -> None:
    files, values = with_values_at("loose")
    bundle = write_bundle(tmp_path / "b", default_manifest(), {**files, "loose": values[:kept]})
    with pytest.raises(BundleError, match=r"audio\.onnx: ONNX Runtime cannot load it"):
        open_session(bundle, "audio", "onnx", "cpu", 1)


def test_links_within_and_out_of_a_bundle(tmp_path: Path) -> None:
    files, values = with_values_at("loose")
    bundle = write_bundle(tmp_path / "b", default_manifest(), {**files, "loose": values}).path
    # As caches of model hubs have them: every file is a link into one folder.
    for folder in ("blobs", "linked", "mixed"):
        (tmp_path / folder).mkdir()
    for number, path in enumerate(sorted(bundle.iterdir())):
        (tmp_path / "blobs" / str(number)).write_bytes(path.read_bytes())
        (tmp_path / "linked" / path.name).symlink_to(tmp_path / "blobs" / str(number))
        if path.name == "loose":
            (tmp_path / "mixed" / path.name).symlink_to(path)
        else:
            (tmp_path / "mixed" / path.name).write_bytes(path.read_bytes())
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 16_000)).astype(np.float32)
    opened = [open_session(Bundle.open(one), "audio", "onnx", "cpu", 1) for one in (bundle, tmp_path / "linked")]
    rows = [session.run(waveform).features for session in opened]
    np.testing.assert_array_equal(*rows)
    # A checksum says what it holds; newer versions of ONNX Runtime mind where it lies.
    try:
        found = open_session(Bundle.open(tmp_path / "mixed"), "audio", "onnx", "cpu", 1).run(waveform).features
        np.testing.assert_array_equal(found, rows[0])
    except BundleError as error:
        assert "audio.onnx: ONNX Runtime cannot load it" in str(error) and "escapes model directory" in str(error)


def test_files_that_changed_places(tmp_path: Path) -> None:
    files, values = with_values_at("loose")
    bundle = write_bundle(tmp_path / "b", default_manifest(), {**files, "loose": values}).path
    (bundle / "video.onnx").rename(bundle / "x")
    (bundle / "loose").rename(bundle / "video.onnx")
    (bundle / "x").rename(bundle / "loose")
    with pytest.raises(BundleError, match="differs from its checksum"):
        Bundle.open(bundle)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(content)
    try:
        external_files(path)
    except ValueError as error:
        assert str(error)
