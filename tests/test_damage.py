"""Broken files in great number: no crash, no hang, nothing half-written, every input accounted for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, make_media, moving_square

CALL = [sys.executable, "-m", "avfeat"]
SUFFIXES = (".mp4", ".mkv", ".ts", ".avi")


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One of: some bytes replaced, a stretch overwritten, cut out, doubled, or the end cut off."""
    out = bytearray(data)
    kind = rng.integers(5)
    at, length = int(rng.integers(len(out))), int(rng.integers(1, 400))
    if kind == 0:
        for position in rng.integers(0, len(out), rng.integers(1, 30)):
            out[position] = rng.integers(256)
    elif kind == 1:
        out[at : at + length] = rng.bytes(length)
    elif kind == 2:
        del out[at : at + length]
    elif kind == 3:
        out[at:at] = out[at : at + length]
    else:
        del out[at:]
    return bytes(out)


def small_clip(folder: Path, suffix: str) -> bytes:
    video = VideoTrack(
        seconds=1.5,
        picture=moving_square(48, 32),
        codec="mpeg4" if suffix == ".avi" else "libx264",
        options=(),
    )
    audio = AudioTrack(seconds=1.5, rate=16_000, codec="mp2" if suffix in (".avi", ".ts") else "aac")
    return make_media(folder / f"whole{suffix}", video, audio).read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_mutations_end_in_a_row_or_in_a_reason(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(len(suffix) + ord(suffix[1]))
    original = small_clip(tmp_path, suffix)
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    names = [f"{k:03}{suffix}" for k in range(50)]
    for name in names:
        (clips / name).write_bytes(mutated(original, rng))
    done = subprocess.run([*CALL, "embed", str(clips), "-o", str(out)], capture_output=True, text=True, timeout=240)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    failures = out / "failures.jsonl"
    failed = [json.loads(line) for line in failures.read_text().splitlines()] if failures.exists() else []
    reasons = {Path(row["source"]).name: row["reason"] for row in failed}
    assert set(reasons.values()) <= {"unreadable", "no_streams", "empty", "too_large"}
    for name in names:
        written = out / f"{name}.npz"
        assert written.exists() != (name in reasons), name
        if written.exists():
            with np.load(written) as arrays:
                assert all(np.isfinite(arrays[key]).all() for key in ("start", "video", "audio"))
                assert len(arrays["start"]) == len(arrays["video"]) == len(arrays["audio"])
    left = {path.name for path in out.iterdir()} - {f"{name}.npz" for name in names} - {"failures.jsonl"}
    assert not left


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.7, 0.99])
def test_truncation_at_any_point_keeps_what_decodes(tmp_path: Path, suffix: str, share: float, encoder) -> None:
    from avfeat import Embedding

    data = small_clip(tmp_path, suffix)
    (result,) = encoder.embed_many([data[: max(1, int(share * len(data)))]])
    if isinstance(result, Embedding):
        assert len(result) == 1 and np.isfinite(result.video).all()
    else:
        assert result.reason in ("unreadable", "no_streams")
        assert share < 0.5 or suffix == ".mp4"
