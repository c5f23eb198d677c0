from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square
from small_runs import DATA, small

from avfeat.training.data import Cache, open_or_prepare, prepare


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where prepared data lies, one place for all test processes."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if base.name.startswith("popen-") else base) / "caches"


@pytest.fixture(scope="session")
def cache(caches: Path) -> Cache:
    """Fifty-six synthetic videos of 28 classes, small and slow."""
    return open_or_prepare(DATA, small().cache, caches, workers=0)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Fourteen clips without labels; three have no sound, two no pictures."""
    root = tmp_path_factory.mktemp("mixed")
    (root / "data").mkdir()
    for number in range(14):
        video = None if number % 5 == 4 else VideoTrack(1.5, picture=moving_square(48, 40, number))
        audio = None if number % 4 == 3 else AudioTrack(1.5, sound=chirps(number), codec="pcm_s16le")
        make_media(root / "data" / f"{number:02}.mkv", video, audio)
    list(prepare(str(root / "data"), root / "cache", small().cache, workers=0))
    return Cache(root / "cache")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in another order have other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
