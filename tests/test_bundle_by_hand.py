"""The script of ``examples`` that writes a bundle without avfeat, by the words of ``docs/bundle.md``."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from test_bundle_schema import SCHEMA

import avfeat

SCRIPT = Path(__file__).parent.parent / "examples" / "bundle_by_hand.py"


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hand") / "bundle"
    subprocess.run([sys.executable, str(SCRIPT), str(folder)], check=True, timeout=120)
    return folder


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


def test_it_takes_sixty_lines_and_onnx_alone() -> None:
    source = SCRIPT.read_text("utf-8")
    assert len(source.splitlines()) <= 60
    assert imported(ast.parse(source)) - sys.stdlib_module_names == {"numpy", "onnx"}


def test_its_manifest_is_valid(by_hand: Path) -> None:
    jsonschema.validate(json.loads((by_hand / "bundle.json").read_text("utf-8")), SCHEMA)


def test_avfeat_verifies_it(by_hand: Path, avfeat_command: Any) -> None:
    ran = avfeat_command("verify", by_hand, "--json", "-")
    assert ran.status == 0, ran.err
    checks = json.loads(ran.out)["checks"]
    assert [(one["modality"], one["output"]) for one in checks] == [("video", "features"), ("audio", "features")]
    assert all(one["ok"] and one["error"] < 1e-5 for one in checks)


def test_avfeat_embeds_with_it(by_hand: Path, clip: Path, avfeat_command: Any) -> None:
    ran = avfeat_command("embed", clip, "--model", by_hand, "-o", "rows.npz")
    assert ran.status == 0, ran.err
    found = avfeat.load(by_hand, device="cpu").embed(clip)
    with np.load("rows.npz") as rows:
        assert rows["video"].shape == (3, 48) and rows["audio"].shape == (3, 3)
        assert rows["video_shared"].shape == rows["audio_shared"].shape == (3, 0)
        assert rows["has_video"].all() and rows["has_audio"].all()
        np.testing.assert_array_equal(rows["video"], found.video)
        np.testing.assert_array_equal(rows["audio"], found.audio)


def test_its_rows_are_colours_and_loudness(by_hand: Path) -> None:
    frames = np.zeros((16, 90, 120, 3), np.uint8)
    frames[:, :, :60, 0] = 255
    with avfeat.load(by_hand, device="cpu") as encoder:
        found = encoder.embed_arrays(frames, 8, np.full(32_000, 0.5, np.float32), 16_000)
    red, green, blue = found.video.reshape(3, 4, 4)
    assert (red[:, 0] > 0.95).all() and (red[:, 3] < 0.05).all() and not green.any() and not blue.any()
    np.testing.assert_allclose(found.audio, np.log(0.25), atol=1e-4)
