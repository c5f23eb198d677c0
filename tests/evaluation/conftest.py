from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

from avfeat import Encoder
from avfeat.evaluation import BundleEmbedder, Store
from avfeat.world import SyntheticVideo, plan, write_video

CLASSES = 4
"""Of the synthetic dataset that the tests write."""

MISSING = "-lostVideo1"
"""A video that the text files name and nobody has."""


@pytest.fixture(scope="session")
def embedder(encoder: Encoder) -> BundleEmbedder:
    return BundleEmbedder(encoder)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("embeddings"))


@pytest.fixture(scope="session")
def made_ave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic videos in AVE's layout, with the quirks of the real text files.

    A test video that is in train under another class, a train video with two classes, an event without length, a
    video that is missing, a video of 9.7 s, and identifiers that begin with a hyphen.
    """
    root = tmp_path_factory.mktemp("ave") / "AVE_Dataset"
    (root / "AVE_video").mkdir(parents=True)
    by_class: dict[str, list[SyntheticVideo]] = {}
    for video in plan(280):
        by_class.setdefault(video.category, []).append(video)
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    chosen = list(by_class)[:: len(by_class) // CLASSES]
    for category in chosen:
        videos = by_class[category]
        # Short events first, so that there is background.
        videos.sort(key=lambda video: (video.end - video.start, video.index))
        for number, video in enumerate(videos[:6]):
            split = ("train", "test", "val", "train", "train", "test")[number]
            name = f"-{video.id[1:]}" if number == 0 else video.id
            write_video(video, root / "AVE_video" / f"{name}.mp4")
            lists[split].append(f"{category}&{name}&good&{video.start}&{video.end}")
    first, second = chosen[:2]
    leaked, twice = lists["test"][0].split("&")[1], lists["train"][1].split("&")[1]
    lists["train"] += [
        f"{second}&{leaked}&good&0&10",
        f"{second}&{twice}&good&0&4",
        f"{first}&{MISSING}&good&0&10",
        f"{first}&short_train&good&0&0",
    ]
    make_media(
        root / "AVE_video" / "short_train.mp4",
        VideoTrack(9.7, picture=moving_square(64, 48, 3)),
        AudioTrack(9.7, sound=chirps(3)),
    )
    for split, lines in lists.items():
        (root / f"{split}Set.txt").write_text("".join(f"{line}\n" for line in lines))
    everything = [line for lines in lists.values() for line in lines]
    (root / "Annotations.txt").write_text("\n".join(["Category&VideoID&Quality&StartTime&EndTime", *everything]))
    return root


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Short sounds of two kinds by turns: low and high."""
    folder = tmp_path_factory.mktemp("sounds")
    return [
        make_media(
            folder / f"{number}.wav", audio=AudioTrack(0.6, 16_000, chirps(number % 2 * 6), codec="pcm_s16le")
        )
        for number in range(6)
    ]


@pytest.fixture
def place(sounds: list[Path]):
    """Puts a sound of one of the two kinds where a data set wants a file."""

    def put(path: Path, kind: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sounds[kind], path)
        return path

    return put


@pytest.fixture(scope="session")
def real_ave() -> Path:
    """The real text files of AVE: where the environment says, or beside the real clips."""
    named = os.environ.get("AVFEAT_TEST_AVE")
    media = os.environ.get("AVFEAT_TEST_MEDIA")
    folder = Path(named) if named else Path(media).parent / "ave" if media else None
    if folder is None or not (folder / "Annotations.txt").is_file():
        pytest.skip("AVFEAT_TEST_AVE names no folder with AVE's text files")
    return folder
