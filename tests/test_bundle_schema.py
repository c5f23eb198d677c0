"""The schema of ``bundle.json`` says what its reader checks."""

from __future__ import annotations

import copy
import importlib.resources
import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from test_bundle import FILES, LEFT_OUT, REMOVED, REQUIRED, WITH_A_DEFAULT, WRONG_VALUES, default_manifest, dotted

from avfeat import Bundle, BundleError
from avfeat.bundle import SHIPPED, VERSION, find_bundle, write_bundle

SCHEMA = json.loads((importlib.resources.files("avfeat") / "bundle.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

FRAMES = ("video", "outputs", "frames")
DENSE = {"name": "rows", "dim": 4, "rows": 16, "first": 0.0625, "period": 0.125}

# What docs/bundle.md lists under "What the schema cannot say": only the reader refuses these.
READER_ALONE = (
    # Values that fit only with each other.
    (("video", "fps"), 9),
    (("video", "frames"), 15),
    (("video", "input", "shape"), ["batch", 8, "height", "width", 3]),
    (("video", "input", "shape"), ["batch", 16, 112, "width", 3]),
    (("audio", "input", "shape"), ["batch", 16_000]),
    (("video", "outputs", "shared", "dim"), 128),
    (("video", "files"), {"onnx": "other.onnx"}),
    (FRAMES, {**DENSE, "rows": 17}),
    (FRAMES, {**DENSE, "period": 1e-7, "rows": 2**20, "dim": 2**20}),
    # JSON Schema has no type for 3.0 other than that of 3.
    (("video", "input", "shape"), ["batch", 16, "height", "width", 3.0]),
    (("audio", "sample_rate"), 16000.0),
    (("version",), 1.0),
)
REMOVALS = [(path, REMOVED) for path in sorted(set(REQUIRED) - {*WITH_A_DEFAULT, *LEFT_OUT})]
NULL = ("video", "size")
"""For frames as they were decoded."""
TYPES = [(path, value) for path in REQUIRED for value in (None, [[1]], "0.5") if (path, value) != (NULL, None)]
MORE = [
    (("format",), "other"),
    (("version",), 0),
    (("version",), 2),
    (("version",), "1"),
    (("version",), True),
    (("seconds",), 0.05),
    (("seconds",), 1e6),
    (("video", "size"), 15),
    (("video", "size"), 4321),
    (("video", "motion"), "yes"),
    (("video", "motion"), 1),
    (("audio", "sample_rate"), 768_001),
    (("audio", "outputs", "features", "dim"), 2**20 + 1),
    *((FRAMES, {**DENSE, key: value}) for key, value in (("rows", 0), ("dim", 0), ("first", -1), ("period", 0))),
    *((FRAMES, {**DENSE, key: True}) for key in DENSE),
    *((FRAMES, {other: DENSE[other] for other in DENSE if other != key}) for key in DENSE),
    (("sha256", "sub/video.onnx"), "0" * 64),
    (("sha256", ".."), "0" * 64),
    (("sha256", "a\nb"), "0" * 64),
    (("sha256", "golden.npz"), "0"),
    (("sha256", "golden.npz"), 0),
]
# A text is right where any text is.
TEXTS = {("name",), ("licence",), *(path for path in REQUIRED if path[-1] == "name")}
CASES = [
    (path, value)
    for path, value in [*WRONG_VALUES, *REMOVALS, *TYPES, *MORE, *READER_ALONE]
    # NaN and infinity are no JSON: the reader refuses them, other parsers do before any schema.
    if not (isinstance(value, float) and not math.isfinite(value)) and not (value == "0.5" and path in TEXTS)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("schema") / "bundle", default_manifest(), FILES).path


@pytest.fixture
def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "bundle.json").read_text("utf-8")))


def changed(manifest: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    outer = inner = copy.deepcopy(manifest)
    for key in path[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return outer


def opens(folder: Path, manifest: dict[str, Any], tmp_path: Path) -> bool:
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "bundle.json").write_text(json.dumps(manifest), "utf-8")
    try:
        Bundle.open(tmp_path)
    except BundleError:
        return False
    return True


def same(a: tuple[tuple[str, ...], Any], b: tuple[tuple[str, ...], Any]) -> bool:
    return a[0] == b[0] and json.dumps(a[1]) == json.dumps(b[1])


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["version"]["const"] == VERSION


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_valid(name: str) -> None:
    VALIDATOR.validate(json.loads((find_bundle(name) / "bundle.json").read_text("utf-8")))


@pytest.mark.parametrize(("path", "value"), CASES, ids=dotted)
def test_what_is_wrong_is_refused_by_both(
    folder: Path, manifest: dict[str, Any], tmp_path: Path, path: tuple[str, ...], value: Any
) -> None:
    wrong = changed(manifest, path, value)
    assert not opens(folder, wrong, tmp_path)
    stated = value is not REMOVED and any(same((path, value), one) for one in READER_ALONE)
    assert VALIDATOR.is_valid(wrong) is stated


RIGHT = [
    *((path, REMOVED) for path in (*WITH_A_DEFAULT, *LEFT_OUT)),
    (("future",), {"anything": 1}),
    (("video", "future"), 2),
    (("video", "aspect"), "crop"),
    (NULL, None),
    (("video", "input", "shape"), ["n", 16, 224, 224, 3]),
    (("audio", "input", "shape"), ["n", 64_000]),
    (("parity",), {}),
    (FRAMES, DENSE),
    (FRAMES, {**DENSE, "first": 0, "rows": 1, "future": 1}),
]


@pytest.mark.parametrize(("path", "value"), RIGHT, ids=dotted)
def test_what_is_right_is_taken_by_both(
    folder: Path, manifest: dict[str, Any], tmp_path: Path, path: tuple[str, ...], value: Any
) -> None:
    right = changed(manifest, path, value)
    assert opens(folder, right, tmp_path) and VALIDATOR.is_valid(right)


def test_one_modality_must_be_there(folder: Path, manifest: dict[str, Any], tmp_path: Path) -> None:
    neither = changed(changed(manifest, ("video",), REMOVED), ("audio",), REMOVED)
    assert not opens(folder, neither, tmp_path) and not VALIDATOR.is_valid(neither)
