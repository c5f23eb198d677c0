from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from bundles import of_one, with_text
from hypothesis import settings
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

import avfeat
from avfeat import cli

# Several test processes share the processors: each takes one.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def encoder() -> avfeat.Encoder:
    """The encoder of the bundle that ships with avfeat."""
    return avfeat.load(device="cpu")


@pytest.fixture(scope="session")
def video_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default bundle without its audio encoder."""
    return of_one(tmp_path_factory.mktemp("alone") / "video", "video")


@pytest.fixture(scope="session")
def audio_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default bundle without its video encoder, and without the shared space."""
    return of_one(tmp_path_factory.mktemp("alone") / "audio", "audio", shared=False)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default bundle with a text encoder."""
    return with_text(tmp_path_factory.mktemp("spoken") / "bundle")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary clip: 5.3 s, mp4, video and audio."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_media(path, VideoTrack(seconds=5.3), AudioTrack(seconds=5.3))


@pytest.fixture(scope="session")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that looks and sounds otherwise."""
    path = tmp_path_factory.mktemp("clip") / "other.mkv"
    video = VideoTrack(seconds=3.0, fps=Fraction(30000, 1001), picture=moving_square(120, 90, seed=7))
    return make_media(path, video, AudioTrack(seconds=3.0, rate=48_000, sound=chirps(5), layout="stereo"))


@pytest.fixture(scope="session")
def real_media() -> Path:
    """Real clips, where the environment names them."""
    folder = os.environ.get("AVFEAT_TEST_MEDIA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("AVFEAT_TEST_MEDIA names no folder of real clips")
    return Path(folder)


@dataclass(frozen=True)
class Ran:
    """What a command line printed and how it ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def avfeat_command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs the command line in this process, in an empty folder, with a terminal of fixed width."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["avfeat", *map(str, arguments)])
        capfd.readouterr()
        status: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code or 0
        out, err = capfd.readouterr()
        assert isinstance(status, int)
        return Ran(status, out, err)

    return run
