"""The service of the examples under attack; ``benchmarks/uploads.py`` does it a thousand times."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_damage import mutated, small_clip
from uploads import Service, foreign, has_strace, hostile, served

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served(tmp_path_factory.mktemp("service"), has_strace()) as service:
        yield service


def test_hostile_uploads_open_nothing_and_are_answered(service: Service, tmp_path: Path) -> None:
    clips = [small_clip(tmp_path, suffix) for suffix in (".mp4", ".avi")]
    assert [service.post(clip) for clip in clips] == ["embedded"] * 2
    before = service.calls()
    for name, data in hostile(9).items():
        assert service.post(data).startswith("422 "), name
    rng = np.random.default_rng(0)
    for clip in clips * 2:
        assert service.post(mutated(clip, rng)).split()[0] in ("embedded", "damaged", "422")
    assert service.post(clips[0]) == "embedded"
    assert foreign(before, service.calls()) == []
    assert service.peak < 1_000_000_000 and service.slowest < 30


def test_uploads_have_a_largest_size(service: Service) -> None:
    assert service.post(bytes(50 * 1024 * 1024 + 1)).startswith("413 ")


def test_what_is_opened_is_noticed() -> None:
    before = [("openat", "/etc/localtime"), ("socket", "AF_INET, SOCK_STREAM, 0")]
    fine = [("openat", "/etc/localtime"), ("openat", "/tmp/upload-x/upload"), ("openat", f"{sys.prefix}/lib/a.py")]
    wrong = [("openat", "/etc/hostname"), ("socket", "AF_INET, SOCK_STREAM, 0"), ("connect", "3, {}")]
    assert foreign(before, [*before, *fine, *wrong]) == wrong
