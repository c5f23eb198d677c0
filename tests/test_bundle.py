from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avfeat import Bundle, BundleError
from avfeat.bundle import SHIPPED, default_bundle, find_bundle, write_bundle

FILES = {name: name.encode() * 9 for name in ("video.onnx", "audio.onnx", "golden.npz", "MODEL_CARD.md")}


class _Removed:
    """Stands for a key that is left out; tests are called the same in every process."""

    def __repr__(self) -> str:
        return "removed"


REMOVED = _Removed()

TOP_LEVEL = (
    "sha256",
    "name",
    "licence",
    "trained",
    "seconds",
    "video",
    "audio",
    "precision",
    "provenance",
    "parity",
)
VIDEO = tuple(("video", key) for key in ("files", "input", "outputs", "fps", "frames", "size", "aspect"))
AUDIO = tuple(("audio", key) for key in ("files", "input", "outputs", "sample_rate"))
PORTS = tuple(
    (modality, *path)
    for modality in ("video", "audio")
    for path in (
        ("input", "name"),
        ("input", "dtype"),
        ("input", "shape"),
        ("outputs", "features"),
        ("outputs", "shared"),
        ("outputs", "features", "name"),
        ("outputs", "shared", "dim"),
    )
)
REQUIRED = (*((key,) for key in TOP_LEVEL), *VIDEO, *AUDIO, *PORTS)


def dotted(path: Any) -> str:
    return ".".join(path) if isinstance(path, tuple) and all(isinstance(key, str) for key in path) else repr(path)


def default_manifest() -> dict[str, Any]:
    """What the default bundle says, without what ``write_bundle`` adds."""
    manifest = json.loads((default_bundle() / "bundle.json").read_text("utf-8"))
    return {key: value for key, value in manifest.items() if key not in ("format", "version", "sha256")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle that says what the default one says, with small files."""
    return write_bundle(tmp_path / "bundle", default_manifest(), FILES).path


def change(folder: Path, path: tuple[str, ...], value: Any) -> None:
    manifest = json.loads((folder / "bundle.json").read_text("utf-8"))
    inner = manifest
    for key in path[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    (folder / "bundle.json").write_text(json.dumps(manifest), "utf-8")


def refusal(folder: Path) -> str:
    """The one sentence with which a bundle is refused."""
    with pytest.raises(BundleError) as raised:
        Bundle.open(folder)
    sentence = str(raised.value)
    assert sentence.startswith(str(folder))
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_does_not_say_where_it_was_made(name: str) -> None:
    for path in find_bundle(Path(name)).iterdir():
        held = path.read_bytes()
        assert b"site-packages" not in held and b'.py"' not in held, path


def test_default_bundle_opens() -> None:
    bundle = Bundle.open(default_bundle())
    assert bundle.path == default_bundle()
    assert bundle.sha256 == hashlib.sha256((default_bundle() / "bundle.json").read_bytes()).hexdigest()
    assert bundle.formats == ("onnx",)
    assert bundle.file("video", "onnx").is_file() and bundle.file("audio", "onnx").is_file()
    assert bundle.video.frames == bundle.video.fps * bundle.seconds
    assert bundle.audio.samples == bundle.audio.rate * bundle.seconds
    assert bundle.graph("video").input.dtype == "uint8"
    assert bundle.graph("audio").input.dtype == "float32"


def test_default_bundle_has_a_model_card_and_golden_arrays() -> None:
    bundle = Bundle.open(default_bundle())
    golden = bundle.golden()
    assert golden["frames"].dtype == np.uint8 and golden["frames"].ndim == 5
    assert golden["waveform"].dtype == np.float32 and golden["waveform"].ndim == 2
    for modality in ("video", "audio"):
        graph = bundle.graph(modality)
        assert golden[f"{modality}_features"].shape[1:] == graph.features.shape[1:]
        assert golden[f"{modality}_shared"].shape[1:] == graph.shared.shape[1:]
    assert (bundle.path / "MODEL_CARD.md").read_text("utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_bundle_that_ships_is_found_by_its_name(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    bundle, default = Bundle.open(find_bundle(name)), Bundle.open(default_bundle())
    assert bundle.name == default.name + name.removeprefix("base") and bundle.trained
    assert bundle.precision == ("int8" if name.endswith("int8") else "fp32")
    # What lies there goes first.
    (tmp_path / name).mkdir()
    assert find_bundle(name) == Path(name)


def test_no_name_is_the_default_and_an_unknown_one_is_refused() -> None:
    assert find_bundle() == default_bundle() == find_bundle("base")
    with pytest.raises(BundleError, match=r"maxi: no such bundle; .* or base or base-int8, which ship"):
        find_bundle("maxi")


@pytest.mark.parametrize("name", ["mini", "mini-int8"])
def test_a_name_that_no_longer_ships_says_where_it_went(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        BundleError, match=rf"^{name}: shipped up to avfeat 0\.1\.0; take base or .* --recipe mini,"
    ):
        find_bundle(name)
    (tmp_path / name).mkdir()
    assert find_bundle(name) == Path(name)


def test_path_may_be_a_string(folder: Path) -> None:
    assert Bundle.open(str(folder)).path == folder


def test_missing_folder(tmp_path: Path) -> None:
    assert "no such bundle" in refusal(tmp_path / "nowhere")


def test_a_file_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    assert "give the folder" in refusal(tmp_path / "model.onnx")


def test_folder_without_manifest(tmp_path: Path) -> None:
    assert "not a bundle: `bundle.json` is missing" in refusal(tmp_path)


def test_manifest_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").mkdir()
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("text", [b"", b"{", b"not json", b"\xff\xfe\x00", b'{"format": "avfeat-bundle"'])
def test_manifest_that_is_not_json(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "bundle.json").write_bytes(text)
    assert "is not JSON" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["[]", "3", "null", "{}", '{"format": "other"}', '{"format": ["avfeat-bundle"]}'])
def test_foreign_format(tmp_path: Path, text: str) -> None:
    (tmp_path / "bundle.json").write_text(text, "utf-8")
    assert "not an avfeat bundle" in refusal(tmp_path)


def test_newer_version_says_upgrade(folder: Path) -> None:
    change(folder, ("version",), 2)
    sentence = refusal(folder)
    assert "version 2" in sentence and "pip install --upgrade avfeat" in sentence


def test_newer_version_is_refused_before_its_files_are_read(folder: Path) -> None:
    change(folder, ("version",), 2)
    (folder / "video.onnx").unlink()
    assert "upgrade" in refusal(folder)


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, True, None, REMOVED])
def test_version_that_is_none(folder: Path, version: object) -> None:
    change(folder, ("version",), version)
    assert "'version'" in refusal(folder)


@pytest.mark.parametrize("name", FILES)
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    sentence = refusal(folder)
    assert str(folder / name) in sentence and "is missing" in sentence


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, -1])
def test_one_flipped_bit_in_a_file(folder: Path, name: str, place: int) -> None:
    content = bytearray((folder / name).read_bytes())
    content[place] ^= 1
    (folder / name).write_bytes(content)
    sentence = refusal(folder)
    assert str(folder / name) in sentence and "differs from its checksum" in sentence


@pytest.mark.parametrize("name", FILES)
def test_truncated_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    assert "differs from its checksum" in refusal(folder)


WITH_A_DEFAULT = (("trained",), ("video", "aspect"))
LEFT_OUT = (("video",), ("audio",), ("video", "outputs", "shared"), ("audio", "outputs", "shared"))


@pytest.mark.parametrize("path", WITH_A_DEFAULT, ids=dotted)
def test_keys_with_a_default_may_be_missing(folder: Path, path: tuple[str, ...]) -> None:
    change(folder, ("trained",), False)
    change(folder, path, REMOVED)
    opened = Bundle.open(folder)
    assert opened.trained is (path == ("trained",)) and opened.video.aspect == "stretch"


@pytest.mark.parametrize("path", LEFT_OUT, ids=dotted)
def test_a_modality_or_an_output_may_be_left_out(folder: Path, path: tuple[str, ...]) -> None:
    change(folder, path, REMOVED)
    bundle, modality = Bundle.open(folder), path[0]
    assert set(bundle.graphs) == {"video", "audio"} - ({modality} if len(path) == 1 else set())
    if len(path) == 1:
        assert getattr(bundle, modality) is None and bundle.formats == ("onnx",)
        with pytest.raises(BundleError, match=f"has no {modality} encoder"):
            bundle.file(modality, "onnx")
    else:
        graph = bundle.graph(modality)
        assert graph.shared is None and list(graph.outputs) == ["features"] and graph.widths[1] == 0


def test_one_of_the_modalities_must_be_there(folder: Path) -> None:
    change(folder, ("video",), REMOVED)
    change(folder, ("audio",), REMOVED)
    assert "'video' and 'audio' are missing" in refusal(folder)


@pytest.mark.parametrize("path", sorted(set(REQUIRED) - {*WITH_A_DEFAULT, *LEFT_OUT}), ids=dotted)
def test_missing_key(folder: Path, path: tuple[str, ...]) -> None:
    change(folder, path, REMOVED)
    sentence = refusal(folder)
    assert "bundle.json" in sentence and repr(path[-1]) in sentence


@pytest.mark.parametrize("path", REQUIRED, ids=dotted)
@pytest.mark.parametrize("value", [None, [[1]], 0.5], ids=["null", "nested list", "fraction"])
def test_value_of_a_wrong_type(folder: Path, path: tuple[str, ...], value: object) -> None:
    if (value == 0.5 and path[-1] in ("seconds", "fps")) or (value is None and path == ("video", "size")):
        # A fraction is right there, and null for frames as they were decoded.
        value = "0.5"
    change(folder, path, value)
    sentence = refusal(folder)
    assert "bundle.json" in sentence and repr(path[-1]) in sentence


WRONG_VALUES: list[tuple[tuple[str, ...], Any]] = [
    (("seconds",), 0),
    (("seconds",), -2.0),
    (("seconds",), math.nan),
    (("seconds",), math.inf),
    (("seconds",), True),
    (("trained",), 1),
    (("precision",), "fp64"),
    (("video", "fps"), 0),
    (("video", "fps"), 9),
    (("video", "frames"), 0),
    (("video", "frames"), 15),
    (("video", "frames"), True),
    (("video", "size"), 0),
    (("video", "size"), "112"),
    (("video", "aspect"), "diagonal"),
    (("video", "input", "dtype"), "float32"),
    (("video", "input", "shape"), ["batch", 16, "height", "width"]),
    (("video", "input", "shape"), ["batch", 16, "height", "width", 3, 1]),
    (("video", "input", "shape"), ["batch", 16, "height", "width", 3.0]),
    (("video", "input", "shape"), ["batch", 8, "height", "width", 3]),
    (("video", "input", "shape"), ["batch", 16, "height", "width", 4]),
    (("video", "input", "shape"), ["batch", 16, "height", "width", True]),
    (("video", "input", "shape"), [1, 16, "height", "width", 3]),
    (("video", "input", "shape"), ["batch", 16, 112, "width", 3]),
    (("video", "outputs", "features", "dim"), 0),
    (("video", "outputs", "shared", "dim"), 128),
    (("video", "files"), {"onnx": "other.onnx"}),
    (("video", "files"), {"onnx": ["video.onnx"]}),
    (("video", "files"), {}),
    (("audio", "sample_rate"), 0),
    (("audio", "sample_rate"), 16000.0),
    (("audio", "input", "dtype"), "float64"),
    (("audio", "input", "shape"), ["batch"]),
    (("audio", "input", "shape"), [1, "samples"]),
    (("audio", "input", "shape"), ["batch", 16_000]),
    (("audio", "outputs", "shared", "dim"), -1),
]


@pytest.mark.parametrize(("path", "value"), WRONG_VALUES, ids=dotted)
def test_value_that_cannot_be(folder: Path, path: tuple[str, ...], value: Any) -> None:
    change(folder, path, value)
    assert "bundle.json" in refusal(folder)


@pytest.mark.parametrize(
    ("modality", "shape"), [("video", ["b", 16, 224, 224, 3]), ("audio", ["b", 64_000])], ids=["video", "audio"]
)
def test_a_graph_may_take_no_other_size_than_it_is_fed_with(folder: Path, modality: Any, shape: list[Any]) -> None:
    change(folder, (modality, "input", "shape"), shape)
    assert Bundle.open(folder).graph(modality).input.shape == tuple(shape)


@pytest.mark.parametrize("name", ["../secret", "sub/video.onnx", "/etc/hostname", "", "..", "a\0b"])
def test_checksum_of_what_is_no_plain_file_name(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_bytes(b"")
    change(folder, ("sha256", name), hashlib.sha256(b"").hexdigest())
    refusal(folder)


def test_unknown_keys_are_ignored(folder: Path) -> None:
    change(folder, ("future",), {"anything": 1})
    change(folder, ("video", "future"), 2)
    assert Bundle.open(folder).name == default_manifest()["name"]


def test_backend_without_a_file(folder: Path) -> None:
    bundle = Bundle.open(folder)
    with pytest.raises(BundleError, match=r"has no pt2 file for video; take --backend onnx\."):
        bundle.file("video", "pt2")


def test_formats_are_those_of_both_modalities(tmp_path: Path) -> None:
    manifest = default_manifest()
    manifest["video"]["files"]["torchscript"] = "video.ts"
    assert write_bundle(tmp_path / "b", manifest, {**FILES, "video.ts": b"ts"}).formats == ("onnx",)


@pytest.mark.parametrize(
    ("parity", "scale"),
    [
        ({"distances": {"video_shared": 1.25}}, 1.25),
        ({"distances": {"video_features": 2.0}}, None),
        ({"distances": {"video_shared": 0}}, None),
        ({"distances": {"video_shared": "far"}}, None),
        ({"distances": [1.25]}, None),
        ({}, None),
    ],
)
def test_scale_of_an_output_where_it_is_stated(folder: Path, parity: dict[str, Any], scale: float | None) -> None:
    change(folder, ("parity",), parity)
    assert Bundle.open(folder).scale("video", "shared") == scale


def test_bundle_without_golden_arrays(tmp_path: Path) -> None:
    files = {name: content for name, content in FILES.items() if name != "golden.npz"}
    bundle = write_bundle(tmp_path / "b", default_manifest(), files)
    with pytest.raises(BundleError, match=r"has no golden\.npz"):
        bundle.golden()


def test_golden_arrays_that_are_no_archive(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"golden\.npz"):
        Bundle.open(folder).golden()


def test_written_bundle_reads_back(tmp_path: Path) -> None:
    manifest = default_manifest()
    manifest["name"], manifest["trained"], manifest["parity"] = "né", True, {"video": 1e-6}
    bundle = write_bundle(tmp_path / "deep" / "bundle", manifest, FILES)
    assert (bundle.name, bundle.trained, dict(bundle.parity)) == ("né", True, {"video": 1e-6})
    assert bundle == Bundle.open(tmp_path / "deep" / "bundle")
    assert {path.name: path.read_bytes() for path in bundle.path.iterdir() if path.name != "bundle.json"} == FILES
    assert [path.name for path in bundle.path.parent.iterdir()] == ["bundle"]


def test_checksum_of_a_bundle_tells_contents_apart(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "a", default_manifest(), FILES)
    same = write_bundle(tmp_path / "b", default_manifest(), FILES)
    other = write_bundle(tmp_path / "c", default_manifest(), {**FILES, "video.onnx": b"other"})
    assert first.sha256 == same.sha256 != other.sha256


def without_licence(manifest: dict[str, Any]) -> None:
    del manifest["licence"]


def too_new(manifest: dict[str, Any]) -> None:
    manifest["version"] = 2


def odd_frames(manifest: dict[str, Any]) -> None:
    manifest["video"]["frames"] = 15


def not_json(manifest: dict[str, Any]) -> None:
    manifest["provenance"] = {"path": Path()}


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (without_licence, BundleError),
        (too_new, BundleError),
        (odd_frames, BundleError),
        (not_json, TypeError),
    ],
)
def test_invalid_bundle_leaves_nothing(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], error: type[Exception]
) -> None:
    manifest = copy.deepcopy(default_manifest())
    spoil(manifest)
    with pytest.raises(error):
        write_bundle(tmp_path / "bundle", manifest, FILES)
    assert list(tmp_path.iterdir()) == []


def test_file_outside_the_bundle_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "bundle", default_manifest(), {**FILES, "../outside": b"x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_existing_target_is_refused_and_kept(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "bundle"
    if kind == "file":
        target.write_bytes(b"mine")
    elif kind == "folder":
        target.mkdir()
        (target / "mine").write_bytes(b"mine")
    else:
        target.symlink_to("nowhere")
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(target, default_manifest(), FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    kept = {"file": target.is_file(), "folder": (target / "mine").is_file(), "link": target.is_symlink()}
    assert kept[kind]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    assert write_bundle(target, default_manifest(), FILES).path == target
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
