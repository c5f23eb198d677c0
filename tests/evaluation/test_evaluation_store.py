from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from avfeat import Embedding, Failure
from avfeat.evaluation import BundleEmbedder, Handcrafted, Store

ARRAYS = ("start", "end", "video", "audio", "video_shared", "audio_shared", "has_video", "has_audio")


class Counting:
    """A real embedder, and what it was asked for."""

    def __init__(self, inner: BundleEmbedder) -> None:
        self.name, self.key, self.seconds = inner.name, inner.key, inner.seconds
        self.inner = inner
        self.asked: list[str] = []

    def embed_many(self, files: Iterable[Path], *, hop: float, start: float, workers: int | None):
        files = list(files)
        self.asked += [file.name for file in files]
        return self.inner.embed_many(files, hop=hop, start=start, workers=workers)


@pytest.fixture
def counting(embedder: BundleEmbedder) -> Counting:
    return Counting(embedder)


def ask(store: Store, embedder: Counting, files: list[Path], hop: float = 2.0, start: float = 0.0):
    embedder.asked.clear()
    return dict(store.embeddings(embedder, files, hop=hop, start=start))


def test_what_is_kept_is_what_was_computed(counting: Counting, sounds: list[Path], tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    first = ask(store, counting, sounds[:2])
    assert counting.asked == ["0.wav", "1.wav"]
    again = ask(store, counting, sounds[:2])
    assert counting.asked == []
    for file in sounds[:2]:
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(first[file], name), getattr(again[file], name))
        for name in ("source", "bundle", "seconds", "hop", "duration", "damaged", "damage"):
            assert getattr(first[file], name) == getattr(again[file], name)


def test_another_grid_bundle_or_file_is_computed_anew(
    counting: Counting, sounds: list[Path], tmp_path: Path
) -> None:
    store = Store(tmp_path / "kept")
    path = Path(shutil.copy(sounds[0], tmp_path / "a.wav"))
    ask(store, counting, [path])
    ask(store, counting, [path], hop=1.0)
    assert counting.asked == ["a.wav"]
    ask(store, counting, [path], start=-0.5)
    assert counting.asked == ["a.wav"]
    counting.key = ("another", *counting.key[1:])
    ask(store, counting, [path])
    assert counting.asked == ["a.wav"]
    shutil.copy(sounds[1], path)
    os.utime(path, (2e9, 2e9))
    changed = ask(store, counting, [path])
    assert counting.asked == ["a.wav"]
    np.testing.assert_array_equal(changed[path].audio, counting.inner._encoder.embed(sounds[1]).audio)


def test_what_is_not_whole_is_computed_again(counting: Counting, sounds: list[Path], tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    expected = ask(store, counting, sounds[:1])[sounds[0]]
    (kept,) = (tmp_path / "kept").rglob("*.npz")
    content = kept.read_bytes()
    for damage in (content[: len(content) // 2], b"", content[:200] + b"\0" * 64 + content[264:]):
        kept.write_bytes(damage)
        found = ask(store, counting, sounds[:1])[sounds[0]]
        assert counting.asked == ["0.wav"]
        np.testing.assert_array_equal(found.audio, expected.audio)
    assert [path.suffix for path in kept.parent.iterdir()] == [".npz"]


def test_failures_are_values_and_tried_again(counting: Counting, sounds: list[Path], tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    missing, text = tmp_path / "-gone.mp4", tmp_path / "text.mp4"
    text.write_text("no video")
    found = ask(store, counting, [missing, sounds[0], text, sounds[0]])
    reasons = {path.name: one.reason for path, one in found.items() if isinstance(one, Failure)}
    assert reasons == {"-gone.mp4": "not_found", "text.mp4": "unreadable"}
    assert isinstance(found[sounds[0]], Embedding)
    assert counting.asked == ["-gone.mp4", "0.wav", "text.mp4"], "each file once"
    shutil.copy(sounds[1], missing)
    assert isinstance(ask(store, counting, [missing, sounds[0]])[missing], Embedding)
    assert counting.asked == ["-gone.mp4"]


def test_progress_counts_what_is_computed(counting: Counting, sounds: list[Path], tmp_path: Path) -> None:
    from contextlib import contextmanager

    told: list[object] = []

    @contextmanager
    def tell(label: str, total: int):
        told.append((label, total))
        yield told.append

    store = Store(tmp_path)
    ask(store, counting, sounds[:1])
    list(store.embeddings(counting, sounds[:3], hop=2.0, start=0.0, progress=tell))
    assert told == [(f"embedding with {counting.name}", 2), "1.wav", "2.wav"]
    told.clear()
    list(store.embeddings(counting, sounds[:3], hop=2.0, start=0.0, progress=tell))
    assert told == []


def test_baselines_are_kept_too(sounds: list[Path], tmp_path: Path) -> None:
    store, baseline = Store(tmp_path), Handcrafted(2.0)
    first = dict(store.embeddings(baseline, sounds[:2], hop=2.0, start=0.0))
    again = dict(store.embeddings(baseline, sounds[:2], hop=2.0, start=0.0))
    np.testing.assert_array_equal(first[sounds[1]].audio, again[sounds[1]].audio)
    assert again[sounds[1]].audio_shared.shape == (1, 0)
