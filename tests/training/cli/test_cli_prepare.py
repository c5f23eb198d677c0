from __future__ import annotations

import builtins
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from making import AudioTrack, VideoTrack, make_media, moving_square


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for number in range(3):
        video = VideoTrack(1.0, picture=moving_square(64, 48, number))
        make_media(tmp_path / "data" / f"{number}.mkv", video, AudioTrack(1.0))
    return tmp_path / "data"


def test_prepare_builds_a_cache_and_says_so(avfeat_command, data: Path) -> None:
    ran = avfeat_command("prepare", data, "c", "--size", 32, "--fps", 4, "--aspect", "crop", "--quality", 80)
    assert ran.status == 0 and ran.err == ""
    first, second = ran.out.splitlines()
    assert re.fullmatch(r"3 clips, 3\.\d s of media, 0 failed -> c", first)
    assert re.fullmatch(r"0\.\d MB, \d+\.\d kB a second of media, in \d+\.\d s", second)
    index = json.loads(Path("c/index.json").read_text())
    assert index["settings"] == {"fps": 4, "size": 32, "sample_rate": 16_000, "aspect": "crop", "quality": 80}
    assert index["items"] == 3 and index["bytes"] == sum(row["bytes"] for row in index["rows"])


def test_failures_within_the_share_are_noted(avfeat_command, data: Path) -> None:
    (data / "text.mp4").write_text("text")
    ran = avfeat_command("prepare", data, "c", "--size", 32, "--max-failed", 0.5, "--workers", 1)
    assert ran.status == 0 and ran.out.startswith("3 clips, ") and ", 1 failed -> c" in ran.out
    assert "text.mp4: not a media file that can be read" in ran.err and "c/failures.jsonl" in ran.err


def test_more_failures_are_an_error(avfeat_command, data: Path) -> None:
    (data / "text.mp4").write_text("text")
    ran = avfeat_command("prepare", data, "c", "--size", 32)
    assert ran.status == 1 and ran.out == ""
    assert ran.err.splitlines()[-1].startswith(f"error: {data}: 1 of 4 clips failed, more than the share of 0.1")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("gone", "c"), 1, "error: gone: no such file or folder."),
        (("synthetic:ave?video=1", "c"), 2, "did you mean 'videos'?"),
        (
            ("synthetic:ave?videos=1", "c", "--quality", "0"),
            2,
            "quality must be a whole number from 1 to 100, not 0.",
        ),
        (("synthetic:ave?videos=1", "c", "--aspect", "fit"), 2, "'fit' is not one of 'stretch', 'crop'"),
        (("synthetic:ave?videos=1",), 2, "Missing argument"),
    ],
)
def test_wrong_usage_is_one_sentence(avfeat_command, arguments: tuple[str, ...], status: int, says: str) -> None:
    ran = avfeat_command("prepare", *arguments)
    assert ran.status == status and says in ran.err and not Path("c").exists()


def test_an_empty_folder_is_an_input_that_failed(avfeat_command) -> None:
    Path("bare").mkdir()
    ran = avfeat_command("prepare", "bare", "c")
    assert ran.status == 1 and ran.out == "" and ran.err == "error: bare: no media file in it.\n"
    assert not Path("c").exists()


@pytest.mark.parametrize("share", ["1.01", "-0.1", "nan"])
def test_a_share_is_from_0_to_1(avfeat_command, data: Path, share: str) -> None:
    ran = avfeat_command("prepare", data, "c", "--max-failed", share)
    assert ran.status == 2 and "Invalid value for '--max-failed'" in ran.err and not Path("c").exists()


def test_a_cache_that_is_a_file_is_refused(avfeat_command, data: Path) -> None:
    Path("c").write_text("mine")
    ran = avfeat_command("prepare", data, "c")
    assert ran.status == 1 and Path("c").read_text() == "mine"
    assert ran.err.splitlines() == ["error: c: is a file; CACHE must be a folder, new or with a cache in it."]


def test_without_the_extra_the_command_says_how_to_get_it(
    avfeat_command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("avfeat.training.data")]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without(name: str, *rest: object, **named: object):
        if name.partition(".")[0] in ("simplejpeg", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    ran = avfeat_command("prepare", data, "c")
    assert ran.status == 1
    assert ran.err.startswith("error: ") and "is not installed; run: pip install 'avfeat[train]'" in ran.err


def test_help_lists_the_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['avfeat', '--help']\n"
        "from avfeat.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'safetensors', 'simplejpeg', 'fsspec') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "prepare" in ran.stdout and ran.stdout.rstrip().endswith("[]")
