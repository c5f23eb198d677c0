from __future__ import annotations

from pathlib import Path

import pytest

from avfeat.cache import cache_folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no folder."""
    for name in ("AVFEAT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("kind", ["prepared", "evaluation"])
def test_every_kind_has_its_folder_in_the_cache_that_the_environment_names(
    nowhere: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    nowhere.setenv("AVFEAT_CACHE", str(tmp_path))
    assert cache_folder(kind) == tmp_path / kind


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", "XDG_CACHE_HOME", "avfeat"),
        ("win32", "LOCALAPPDATA", "avfeat/Cache"),
        ("linux", None, ".cache/avfeat"),
        ("win32", None, "AppData/Local/avfeat/Cache"),
        ("darwin", None, "Library/Caches/avfeat"),
    ],
)
def test_the_users_cache_folder_of_each_system(
    nowhere: pytest.MonkeyPatch, tmp_path: Path, platform: str, variable: str | None, folder: str
) -> None:
    nowhere.setattr("sys.platform", platform)
    nowhere.setattr(Path, "home", lambda: tmp_path)
    if variable is not None:
        nowhere.setenv(variable, str(tmp_path))
    assert cache_folder("evaluation") == tmp_path / folder / "evaluation"
