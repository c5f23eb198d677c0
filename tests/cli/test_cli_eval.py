from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest
from bundles import said_to_be
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

from avfeat.bundle import Bundle, default_bundle

KEYS = {
    "dataset",
    "protocol",
    "split",
    "accuracy",
    "interval",
    "C",
    "counts",
    "splits",
    "rows",
    "majority",
    "chance",
    "baselines",
    "per_class",
    "confusion",
    "missing",
    "damaged",
    "bundle",
    "name",
    "trained",
    "seconds",
}


@pytest.fixture(scope="module")
def tiny_ave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve short clips of two classes in AVE's layout; one more is missing."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "AVE").mkdir()
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number in range(12):
        kind = number % 2
        name = f"-{number:02d}_clip_{kind}"
        video = VideoTrack(1.0, picture=moving_square(48, 32, kind))
        make_media(root / "AVE" / f"{name}.mp4", video, AudioTrack(1.0, 16_000, chirps(6 * kind)))
        part = "train" if number < 6 else "val" if number < 8 else "test"
        lists[part].append(f"{('Cat', 'Church bell')[kind]}&{name}&good&0&{kind * 5 + 5}")
    lists["train"] += ["Cat&-11_clip_1&good&0&10", "Cat&-missing_id&good&0&10"]
    for part, lines in lists.items():
        (root / f"{part}Set.txt").write_text("\n".join(lines))
    (root / "Annotations.txt").write_text("\n".join(line for lines in lists.values() for line in lines))
    return root


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return said_to_be(tmp_path_factory.mktemp("bundle") / "untrained", trained=False)


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One cache for all tests of this module, by the environment."""
    folder = tmp_path_factory.getbasetemp() / "eval-cache"
    monkeypatch.setenv("AVFEAT_CACHE", str(folder))
    return folder


def test_ave_prints_a_table_and_writes_json_and_a_picture(
    avfeat_command, tiny_ave: Path, untrained: Path, cache: Path
) -> None:
    baselines = ("--baselines", "--random-init", untrained)
    ran = avfeat_command("eval", "ave", tiny_ave, *baselines, "--json", "a.json", "--confusion", "c.png")
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == (
        "AVE, video protocol, split dedupe; rows for train / val / test: dedupe 7 / 2 / 4; official 8 / 2 / 4"
    )
    assert lines[1] == (
        "evaluated on 12 of 14 annotated rows (6 / 2 / 4): 1 left out by the split, 1 without an embedding"
    )
    assert lines[2].split("  ")[0] == "accuracy, %"
    assert [line.split("  ")[0] for line in lines[3:8]] == [
        Bundle.open(default_bundle()).name,
        "random-init",
        "colours + MFCC",
        "majority class",
        "chance",
    ]
    assert lines[3].endswith("100.0 (100.0 to 100.0)")
    assert "missing: " in ran.err
    assert "-missing_id.mp4: no such file." in ran.err
    values = json.loads(Path("a.json").read_text())
    assert set(values) == KEYS
    assert values["accuracy"] == {"video": 1.0, "audio": 1.0, "av": 1.0}
    assert values["interval"]["av"] == [1.0, 1.0]
    assert values["C"] == {"video": 1e-4, "audio": 1e-4, "av": 1e-4}, "the smallest of equals"
    assert values["counts"] == {"train": 6, "val": 2, "test": 4, "missing": 1, "damaged": 0}
    assert values["rows"] == {"used": 12, "annotated": 14}
    assert values["splits"]["official"] == {"train": 8, "val": 2, "test": 4}
    assert (values["protocol"], values["split"]) == ("video", "dedupe")
    assert values["bundle"] == Bundle.open(default_bundle()).sha256
    assert [entry["name"] for entry in values["baselines"]] == ["random-init", "colours + MFCC"]
    assert values["baselines"][0]["accuracy"]["av"] == 1.0, "two classes that anything tells apart"
    assert values["majority"] == values["chance"] == 0.5
    assert values["confusion"]["classes"] == ["Cat", "Church bell"]
    assert values["confusion"]["av"] == [[2, 0], [0, 2]]
    assert values["per_class"]["Cat"] == {"count": 2, "video": 1.0, "audio": 1.0, "av": 1.0}
    assert values["missing"][0]["reason"] == "not_found"
    with av.open("c.png") as picture:
        assert next(picture.decode(video=0)).width > 200
    assert list(cache.rglob("*.npz"))


def test_the_segment_protocol_has_background(avfeat_command, tiny_ave: Path, cache: Path) -> None:
    ran = avfeat_command("eval", "ave", tiny_ave, "--protocol", "segment", "--split", "official", "--json", "-")
    assert ran.status == 0, ran.err
    values = json.loads(ran.out)
    assert (values["protocol"], values["split"]) == ("segment", "official")
    assert values["confusion"]["classes"] == ["Cat", "Church bell", "background"]
    assert sum(map(sum, values["confusion"]["av"])) == 40
    assert values["counts"]["train"] == 7
    assert values["chance"] == 1 / 3


def test_no_video_is_a_failure_with_true_counts(avfeat_command, tiny_ave: Path, tmp_path: Path) -> None:
    for path in tiny_ave.glob("*.txt"):
        shutil.copy(path, tmp_path)
    ran = avfeat_command("eval", "ave", tmp_path)
    assert ran.status == 1
    assert ran.out == ""
    assert ran.err.startswith("error: AVE: none of the 13 videos of its 14 annotated rows is there; ")
    assert ran.err.count("\n") == 1


def test_nothing_to_test_on_is_a_failure_with_counts(
    avfeat_command, tiny_ave: Path, tmp_path: Path, cache: Path
) -> None:
    root = Path(shutil.copytree(tiny_ave, tmp_path / "copy"))
    for line in (root / "testSet.txt").read_text().splitlines():
        (root / "AVE" / f"{line.split('&')[1]}.mp4").write_text("no video")
    ran = avfeat_command("eval", "ave", root)
    assert ran.status == 1
    assert ran.err.splitlines()[-1] == (
        "error: AVE: nothing is there for test: train 6 of 7, val 2 of 2, test 0 of 4; "
        "add the files that are missing."
    )


def test_damaged_videos_are_listed_and_take_part(
    avfeat_command, tiny_ave: Path, tmp_path: Path, cache: Path
) -> None:
    root = Path(shutil.copytree(tiny_ave, tmp_path / "copy"))
    name = "-00_clip_0"
    cut = make_media(tmp_path / "cut.ts", VideoTrack(3.0), AudioTrack(3.0))
    content = cut.read_bytes()
    (root / "AVE" / f"{name}.mp4").unlink()
    (root / "AVE" / f"{name}.ts").write_bytes(content[: len(content) * 9 // 10 // 188 * 188 + 100])
    ran = avfeat_command("eval", "ave", root, "--json", "-")
    assert ran.status == 0
    assert f"{name}.ts: " in ran.err
    values = json.loads(ran.out)
    assert values["counts"]["damaged"] == 1
    assert values["damaged"][0]["source"].endswith(f"{name}.ts")
    assert values["rows"]["used"] == 12


@pytest.mark.parametrize("command", ["knn", "retrieval"])
def test_neighbours_of_a_table(avfeat_command, command: str, tiny_ave: Path, untrained: Path, cache: Path) -> None:
    rows = ["path,class,source"]
    for number, path in enumerate(sorted((tiny_ave / "AVE").iterdir())):
        rows.append(f"AVE/{path.name},{path.stem[-1]},s{number // 2}")
    table = tiny_ave / "clips.csv"
    table.write_text("\n".join(rows))
    baselines = ("--baselines", "--random-init", untrained)
    ran = avfeat_command("eval", command, table, "--label", "class", *baselines, "--json", "out.json")
    assert ran.status == 0, ran.err
    assert ran.out.startswith(f"clips.csv, {command}: 2 classes, 6 groups; neighbours are of other groups\n")
    values = json.loads(Path("out.json").read_text())
    assert values["counts"] == {"files": 12, "asked": 12, "classes": 2, "groups": 6, "missing": 0, "damaged": 0}
    assert values["bundle"] == Bundle.open(default_bundle()).sha256
    if command == "knn":
        assert values["accuracy"] == {"video": 1.0, "audio": 1.0, "av": 1.0}
        assert values["chance"]["av"] == 0.5
        assert values["neighbours"] == 1
    else:
        assert values["recall"]["video_to_video"] == {"1": 1.0, "5": 1.0, "20": 1.0}
        assert set(values["recall"]) >= {"audio_to_video", "video_to_audio", "audio_to_audio_shared"}
        # Of eleven candidates (ten of other groups, and the clip itself), one is right.
        assert values["chance"]["audio_to_video"]["1"] == pytest.approx(1 / 11)
        shares = (values["recall"]["audio_to_video"]["1"], *values["interval"]["audio_to_video"]["1"])
        shown = [line for line in ran.out.splitlines() if line.startswith("audio to video ")]
        assert " {:.1f} ({:.1f} to {:.1f}) ".format(*(100 * share for share in shares)) in shown[0]
        assert shown[-1].split()[3:5] == ["chance", "9.1"]
        assert set(values["baselines"][1]["recall"]) == {"video_to_video", "audio_to_audio"}


def test_of_a_copy_of_ave_train_votes_on_test(avfeat_command, tiny_ave: Path, cache: Path) -> None:
    ran = avfeat_command("eval", "knn", tiny_ave, "--json", "out.json")
    assert ran.status == 0, ran.err
    values = json.loads(Path("out.json").read_text())
    # One of the listed train rows is missing, and one is of a video of the test split.
    assert "evaluated on 10 of 11 labelled files: 4 test queries, 6 train neighbours\n" in ran.out
    assert (values["counts"]["files"], values["counts"]["asked"]) == (10, 4)
    assert values["queries"] == {"video": 4, "audio": 4, "av": 4}
    assert values["accuracy"]["av"] == 1.0


def test_esc50_by_the_command(avfeat_command, tmp_path: Path, cache: Path) -> None:
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    (tmp_path / "audio").mkdir()
    for number in range(10):
        name, kind = f"{number // 2 + 1}-{number}-A-{number % 2}.wav", number % 2
        make_media(tmp_path / "audio" / name, audio=AudioTrack(0.5, 16_000, chirps(6 * kind), codec="pcm_s16le"))
        rows.append(f"{name},{number // 2 + 1},{kind},{'ab'[kind]},True,{number},A")
    (tmp_path / "esc50.csv").write_text("\n".join(rows))
    ran = avfeat_command("eval", "esc50", tmp_path, "--json", "-")
    assert ran.status == 0, ran.err
    values = json.loads(ran.out)
    assert values["accuracy"]["audio"] == 1.0
    assert values["folds"]["audio"] == dict.fromkeys("12345", 1.0)
    shown = avfeat_command("eval", "esc50", tmp_path)
    assert shown.out.startswith("ESC-50, linear probe, mean over 5 splits\nevaluated on 10 of 10 listed files")


def test_wrong_use_is_one_sentence_and_status_2(avfeat_command, tiny_ave: Path, tmp_path: Path) -> None:
    trained = said_to_be(tmp_path / "trained", trained=True)
    for arguments, message in (
        (["--random-init", trained], "--random-init is for --baselines"),
        (["--baselines", "--random-init", trained], "needs an untrained bundle, and this is trained"),
        (["--confusion", "c.gif"], "the picture's suffix must be one of .png, .svg, .pdf"),
    ):
        ran = avfeat_command("eval", "ave", tiny_ave, *arguments)
        assert ran.status == 2
        assert message in ran.err
        assert ran.err.count("\n") == 1
    assert avfeat_command("eval", "ave", tiny_ave, "--protocol", "clip").status == 2
    assert avfeat_command("eval", "ave", tmp_path / "gone").status == 1


def test_a_missing_package_is_named_with_its_extra(
    avfeat_command, tiny_ave: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    ran = avfeat_command("eval", "ave", tiny_ave)
    assert ran.status == 1
    assert ran.err == "error: sklearn is not installed; run: pip install 'avfeat[eval]'\n"


def test_an_evaluation_imports_no_torch(tiny_ave: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from avfeat.cli.app import make_app\n"
        "try:\n    make_app()()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "assert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    given = ["--confusion", str(tmp_path / "c.svg"), "--baselines", "--random-init", "auto"]
    command = [sys.executable, "-c", code, "eval", "ave", str(tiny_ave), *given]
    environment = {**os.environ, "AVFEAT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "\nrandom-init " in done.stdout
    assert (tmp_path / "c.svg").read_text().startswith("<?xml")
