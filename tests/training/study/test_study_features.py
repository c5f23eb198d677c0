from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square
from small_studies import DATA, RECIPE

from avfeat.errors import ArgumentError
from avfeat.training.data import Cache, prepare
from avfeat.training.data.windows import window_starts
from avfeat.training.networks import build_pair
from avfeat.training.networks.log_mel import LogMel
from avfeat.training.recipes import Recipe
from avfeat.training.study.features import clip_features
from avfeat.training.study.material import PARTS, Material, MaterialError, open_caches
from avfeat.training.study.measure import ProbeError, labels_of, probe_features

SECOND = 1_000_000
RECIPE_OF_TEST = Recipe.from_values(RECIPE)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Five clips; one has no sound, one no pictures."""
    root = tmp_path_factory.mktemp("odd")
    (root / "data").mkdir()
    for number in range(5):
        video = None if number == 3 else VideoTrack(1.7, picture=moving_square(48, 40, number))
        audio = None if number == 1 else AudioTrack(1.7, sound=chirps(number), codec="pcm_s16le")
        make_media(root / "data" / f"{number}.mkv", video, audio)
    list(prepare(str(root / "data"), root / "cache", RECIPE_OF_TEST.cache, workers=0))
    return Cache(root / "cache")


def test_features_are_means_over_windows_one_by_one(odd: Cache) -> None:
    spec, windows = RECIPE_OF_TEST.encoders, 3
    torch.manual_seed(0)
    pair = build_pair(spec).eval()
    for name, one in pair.named_buffers():
        if name.endswith("running_mean"):
            one.normal_()
    found = clip_features(odd, pair, spec, windows, torch.device("cpu"))
    log_mel = LogMel(spec.sample_rate)
    for item, row in enumerate(odd.rows):
        clip = odd.clip(item)
        video, audio = [], []
        for start in window_starts(row, spec.seconds, windows):
            instants = [int(start) + round((place + 0.5) * SECOND / spec.fps) for place in range(spec.frames)]
            frames = torch.from_numpy(clip.frames(instants)).permute(0, 3, 1, 2)[None].float() / 255
            waveform = torch.from_numpy(clip.sound(int(start), spec.sample_rate))[None]
            with torch.no_grad():
                video.append(pair.video.backbone(frames)[0].numpy())
                audio.append(pair.audio.backbone(log_mel(waveform))[0].numpy())
        there = {"video": row.video_end is not None, "audio": row.audio_end is not None}
        for name, slow in (("video", video), ("audio", audio)):
            expected = np.mean(slow, axis=0) * there[name]
            np.testing.assert_allclose(found[name][item], expected, atol=1e-4)
            assert bool(np.abs(found[name][item]).max() > 0) is there[name]


def test_a_stop_is_asked_for_between_batches(odd: Cache) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    asked = []

    def alive() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise Enough

    spec = RECIPE_OF_TEST.encoders
    with pytest.raises(Enough):
        clip_features(odd, build_pair(spec).eval(), spec, 40, torch.device("cpu"), alive)


def separable(seed: int) -> np.ndarray:
    """Features of four classes, five clips each, far apart."""
    rng = np.random.default_rng(seed)
    return (np.eye(4, 6)[np.repeat(np.arange(4), 5)] * 9 + rng.normal(size=(20, 6))).astype(np.float32)


def test_the_probe_reads_each_modality_and_both() -> None:
    noise = np.random.default_rng(9)
    labels = {part: np.repeat(np.arange(4), 5) for part in PARTS}
    features = {
        part: {"video": separable(number), "audio": noise.normal(size=(20, 6)).astype(np.float32)}
        for number, part in enumerate(PARTS)
    }
    found = probe_features(features, labels)
    assert found.accuracy["video"] == found.accuracy["av"] == 1.0 and found.accuracy["audio"] < 0.7
    assert set(found.c) == {"video", "audio", "av"} and found.c["video"] == 1e-4
    features["test"]["audio"][3, 2] = np.nan
    with pytest.raises(ProbeError, match="The audio features are NaN or infinite"):
        probe_features(features, labels)


def test_material_has_parts_and_the_same_identity_everywhere() -> None:
    one = Material(DATA)
    assert one.address("val") == f"{DATA}&split=val" and one.clips == 56
    assert one.identity == Material("synthetic:ave?seed=0&videos=56").identity
    assert one.identity != Material("synthetic:ave?videos=56&seed=1").identity
    with pytest.raises(ArgumentError, match="leave out the split"):
        Material(f"{DATA}&split=train")


def test_train_has_no_clip_of_val_or_test_and_labels_are_one_count() -> None:
    paths = Material(DATA).prepare(RECIPE_OF_TEST.cache, 0.1, None)
    caches = open_caches(paths)
    assert [len(caches[part]) for part in PARTS] == [42, 7, 7]
    train, val, test = labels_of(caches)
    assert max(train) == 27 and len(set(val) | set(test)) <= 28
    assert [caches["test"].classes[number] for number in caches["test"].labels] == [
        sorted({row.label or "" for cache in caches.values() for row in cache.rows})[number] for number in test
    ]
    # The test videos as a part of train: they are taken out of it.
    leaky = open_caches({**paths, "train": paths["test"]})
    assert len(leaky["train"]) == 0 and len(leaky["test"]) == 7


def test_clips_without_labels_are_refused_before_any_work(tmp_path: Path) -> None:
    rows = "".join(f"{part}.mkv,{part}\n" for part in PARTS)
    (tmp_path / "clips.csv").write_text(f"path,split\n{rows}")
    with pytest.raises(MaterialError, match=r"clips\.csv: .*train\.mkv has no label"):
        _ = Material(str(tmp_path / "clips.csv")).identity
