"""How well audio and video agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from collections_made import make_collection

from avfeat.explore.agreement import agreement_of


def test_windows_beat_mismatched_pairs_where_sound_and_picture_belong_together() -> None:
    collection = make_collection([f"{n}.mp4" for n in range(9)])
    found = agreement_of(collection, seed=0)
    assert found is not None and found.share > 0.95
    video, audio = collection.vectors["video"].rows, collection.vectors["audio"].rows
    np.testing.assert_allclose(found.windows, (video * audio).sum(axis=1), atol=1e-6)
    assert (np.diff(found.chance) >= 0).all() and abs(np.median(found.chance)) < 0.3
    again = agreement_of(collection, seed=0)
    assert again is not None and np.array_equal(again.chance, found.chance)


def test_sound_of_no_picture_is_at_chance() -> None:
    collection = make_collection([f"{n}.mp4" for n in range(60)], windows=6)
    noise = make_collection([f"{n}.mp4" for n in range(60)], windows=6, seed=9)
    mixed = replace(collection, vectors={**collection.vectors, "audio": noise.vectors["audio"]})
    found = agreement_of(mixed, seed=0)
    assert found is not None and abs(found.share - 0.5) < 0.1


def test_what_has_no_pairs_has_no_agreement() -> None:
    collection = make_collection(["a.mp4", "b.wav"])
    # One file with both: nothing to mismatch it with.
    assert agreement_of(collection, seed=0) is None
    assert agreement_of(make_collection(["a.wav", "b.wav"]), seed=0) is None
    two = make_collection(["a.mp4", "b.mp4", "c.wav"])
    assert agreement_of(replace(two, shared=False), seed=0) is None
    found = agreement_of(two, seed=0)
    assert found is not None and np.isnan(found.windows).tolist() == [False] * 8 + [True] * 4
