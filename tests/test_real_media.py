"""Real clips as people have them; skipped where none are at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from avfeat import Embedding, Encoder, Failure
from avfeat.grid import MICROSECONDS, Grid
from avfeat.media import probe

FAIL = {
    "made_empty.mp4": "empty",
    "made_text.mp4": "unreadable",
    "made_mp4_without_moov.mp4": "unreadable",
    "unreadable_open_invaliddataerror_1.mp4": "unreadable",
}


def stated_windows(path: Path) -> int:
    duration = probe(path).duration
    assert duration is not None
    return Grid.from_seconds(2.0).count(round(duration * MICROSECONDS))


@pytest.fixture(scope="module")
def originals(encoder: Encoder, real_media: Path) -> dict[Path, Embedding | Failure]:
    """What becomes of each clip as it was found."""
    paths = sorted((real_media / "original").iterdir())
    assert len(paths) >= 30
    return dict(zip(paths, encoder.embed_many(paths), strict=True))


def test_every_original_gives_the_contracts_windows(originals: dict[Path, Embedding | Failure]) -> None:
    for path, found in originals.items():
        assert isinstance(found, Embedding), found
        assert len(found) == stated_windows(path), path.name
        assert not found.damaged, (path.name, found.damage)
        assert found.has_video.any() and found.has_audio.any()
        assert np.isfinite(found.video).all() and np.isfinite(found.audio).all()


def test_every_small_clip_embeds(encoder: Encoder, real_media: Path) -> None:
    """Some of them here; ``benchmarks/real_media.py`` takes all."""
    paths = sorted((real_media / "small").iterdir())[::30]
    with (real_media / "small.csv").open() as file:
        assert {path.name for path in paths} <= {row["file"] for row in csv.DictReader(file)}
    for path, found in zip(paths, encoder.embed_many(paths), strict=True):
        assert isinstance(found, Embedding), found
        assert len(found) == stated_windows(path), path.name
        assert not found.damaged, (path.name, found.damage)


def test_odd_files_behave_as_their_table_says(encoder: Encoder, real_media: Path) -> None:
    with (real_media / "odd.csv").open() as file:
        facts = {row["file"]: row for row in csv.DictReader(file)}
    paths = sorted((real_media / "odd").iterdir())
    for path, found in zip(paths, encoder.embed_many(paths), strict=True):
        if path.name in FAIL:
            assert isinstance(found, Failure) and found.reason == FAIL[path.name], path.name
            continue
        assert isinstance(found, Embedding), found
        row = facts.get(path.name)
        if row is not None:
            assert found.has_video.any() == bool(row["vcodec"]), path.name
            assert found.has_audio.any() == bool(row["acodec"]), path.name


@pytest.mark.parametrize(
    ("name", "rows", "video", "audio", "damaged"),
    [
        ("made_5_1_ac3.mkv", 2, True, True, False),
        ("made_prores_422_10bit.mov", 1, True, True, False),
        ("made_0_2_seconds.mp4", 1, True, True, False),
        ("made_starts_at_10s.ts", 2, True, True, False),
        ("made_edit_list.mp4", 2, True, True, False),
        ("made_rotated_90_with_sound.mp4", 2, True, True, False),
        ("made_interlaced_mpeg2.mpg", 2, True, True, False),
        ("made_truncated_60_percent.ts", 2, True, True, True),
        ("made_audio_only.flac", 2, False, True, False),
        ("made_audio_only.mp3", 2, False, True, False),
        ("made_vfr_no_audio.mp4", 2, True, False, False),
    ],
)
def test_made_files(
    encoder: Encoder, real_media: Path, name: str, rows: int, video: bool, audio: bool, damaged: bool
) -> None:
    found = encoder.embed(real_media / "odd" / name)
    assert (len(found), found.damaged) == (rows, damaged)
    assert (found.has_video.all(), found.has_audio.all()) == (video, audio)
    assert found.start[0] == 0


def test_real_clips_differ_and_have_unit_scale(originals: dict[Path, Embedding | Failure]) -> None:
    found = [one for one in originals.values() if isinstance(one, Embedding)]
    for name in ("video", "audio"):
        rows = np.stack([getattr(e, name).mean(axis=0) for e in found])
        assert 0.2 < rows.std(axis=0).mean() < 3
        gaps = np.linalg.norm(rows[:, None] - rows[None], axis=2)[np.triu_indices(len(rows), 1)]
        assert np.quantile(gaps, 0.02) > 0.05 * np.median(gaps)
