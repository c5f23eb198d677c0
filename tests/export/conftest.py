from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from exporting import SPECS, made_model, made_windows
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

from avfeat.export.media import ClipWindows
from avfeat.export.model import Model
from avfeat.training.checkpoint import Checkpoint


@pytest.fixture(scope="session")
def windows() -> ClipWindows:
    return made_windows(SPECS["stretch"])


@pytest.fixture(scope="session")
def model(windows: ClipWindows) -> Model:
    return made_model(SPECS["stretch"], windows)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of short clips."""
    folder = tmp_path_factory.mktemp("media")
    for number in range(4):
        video = VideoTrack(1.2, picture=moving_square(48, 36, number))
        make_media(folder / f"{number}.mkv", video, AudioTrack(1.2, sound=chirps(number)))
    return folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    """A run as a training leaves it."""
    spec = model.spec
    encoders = {key: getattr(spec, key) for key in ("video", "audio", "seconds", "fps", "size", "sample_rate")}
    folder = tmp_path_factory.mktemp("runs") / "first"
    Checkpoint(
        recipe={"name": "smoke", "encoders": {**encoders, "shared": spec.shared, "aspect": spec.aspect}},
        step=7,
        data={"source": "squares", "fingerprint": "0", "clips": 4, "seconds": 4.8},
        provenance={"avfeat": "0", "torch": "0", "revision": "abc"},
        encoders=model.pair.state_dict(),
        training={},
    ).save(folder / "checkpoints" / "last.pt")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared media goes where the tests' other files go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVFEAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
