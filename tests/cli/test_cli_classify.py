from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of eight short clips of two classes and eight sources, and one that is broken."""
    folder = tmp_path_factory.mktemp("cli")
    lines = ["file,kind,from"]
    for number in range(8):
        kind = number % 2
        video = VideoTrack(0.6, picture=moving_square(48, 32, 9 * kind))
        make_media(folder / f"{number}.mkv", video, AudioTrack(0.6, 16_000, chirps(6 * kind)))
        lines.append(f"{number}.mkv,{('Cat', '$x^{')[kind]},s{number}")
    (folder / "broken.mkv").write_text("no video")
    (folder / "all.csv").write_text("\n".join([*lines, "broken.mkv,Cat,s9"]))
    (folder / "clips.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_fit_prints_how_good_it_is_and_predict_uses_it(avfeat_command, clips: Path, cache: Path) -> None:
    columns = ("--label", "kind", "--group", "from", "--cache", cache)
    ran = avfeat_command("classify", "fit", clips / "clips.csv", *columns, "-o", "m.onnx", "--confusion", "c.png")
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "clips.csv: 8 files of 8 groups, 2 classes; linear probe, 5 folds of groups"
    assert [line.split("  ")[0] for line in lines[2:6]] == [
        "avfeat-base",
        "colours + MFCC",
        "majority class",
        "chance",
    ]
    assert lines[2].rstrip().endswith("100.0 (100.0 to 100.0)")
    assert lines[7].split() == ["$x^{", "4", "4", "100.0", "-"]
    assert lines[9].startswith("accuracy, each file by what it has: 100.0 (100.0 to 100.0) %; calibration error ")
    assert lines[10].startswith("2 classes of avfeat-base -> m.onnx, 0.1 MB")
    with av.open("c.png") as picture:
        assert next(picture.decode(video=0)).width > 150

    ran = avfeat_command("classify", "predict", "m.onnx", clips / "0.mkv", "--json", "p.json")
    assert ran.status == 0, ran.err
    assert ran.out.splitlines()[1].split()[0] == "Cat" and str(clips / "0.mkv") in ran.out
    assert ran.out.splitlines()[3].split() == ["0.00", "s", "2.00", "s", "Cat", ran.out.split()[-1]]
    values = json.loads(Path("p.json").read_text())
    assert set(values) == {"model", "bundle", "labels", "predictions", "failures"}
    assert values["labels"] == ["$x^{", "Cat"] and values["failures"] == []
    assert values["predictions"][0]["windows"][0]["label"] == "Cat"

    made = avfeat_command("embed", clips / "0.mkv", clips / "1.mkv", "-o", "all.parquet")
    assert made.status == 0, made.err
    ran = avfeat_command("classify", "predict", "m.onnx", "all.parquet", clips / "2.mkv", "--json", "-")
    assert [one["label"] for one in json.loads(ran.out)["predictions"]] == ["Cat", "$x^{", "Cat"]
    assert json.loads(ran.out)["predictions"][0]["probability"] == values["predictions"][0]["probability"]

    ran = avfeat_command("classify", "predict", "m.onnx", "all.parquet", "--model", "base-int8")
    assert (ran.status, ran.out) == (2, "") and "do not compare" in ran.err


def test_what_fails_is_listed_and_the_rest_is_done(avfeat_command, clips: Path, cache: Path) -> None:
    columns = ("--label", "kind", "--group", "from", "--cache", cache, "--no-baselines")
    ran = avfeat_command("classify", "fit", clips / "all.csv", *columns, "-o", "m.onnx", "--json", "m.json")
    assert ran.status == 1 and Path("m.onnx").is_file()
    assert ran.err.startswith("missing: ") and "broken.mkv" in ran.err
    values = json.loads(Path("m.json").read_text())
    assert values["counts"] == {"files": 8, "groups": 8, "folds": 5, "left_out": 0}
    assert [Path(one["source"]).name for one in values["missing"]] == ["broken.mkv"]
    assert values["by"]["accuracy"] == {"video": 1.0, "audio": 1.0, "av": 1.0} and values["baselines"] == []
    assert values["confusion"] == {"classes": ["$x^{", "Cat"], "counts": [[4, 0], [0, 4]]}
    assert set(values["per_class"]["Cat"]) == {"files", "groups", "recall"}

    ran = avfeat_command("classify", "predict", "m.onnx", clips / "broken.mkv", clips / "1.mkv", "--json", "-")
    assert ran.status == 1 and "error: " in ran.err
    values = json.loads(ran.out)
    assert [one["label"] for one in values["predictions"]] == ["$x^{"]
    assert [set(one) for one in values["failures"]] == [{"source", "reason", "message"}]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("fit", "none.csv", "-o", "m.onnx"), 1, "no such file or folder; name a CSV, or a folder"),
        (("fit", "clips.csv", "--label", "klass", "-o", "m.onnx"), 2, "has no column 'klass'"),
        (("fit", "clips.csv", "-o", "m.pkl"), 2, "a classifier is an ONNX file"),
        (("fit", "clips.csv", "-o", "m.onnx", "--confusion", "c.gif"), 2, "suffix must be one of"),
        (("predict", "clips.csv", "a.mp4"), 1, "is no classifier"),
        (("predict", "none.onnx", "a.mp4"), 1, "none.onnx: cannot be read (No such file or directory)."),
    ],
    ids=["data", "column", "pickle", "picture", "model", "none"],
)
def test_errors_are_one_sentence(avfeat_command, clips: Path, arguments, status: int, words: str) -> None:
    ran = avfeat_command("classify", *(clips / part if part == "clips.csv" else part for part in arguments))
    assert (ran.status, ran.out) == (status, "") and words in ran.err
    assert ran.err.startswith("error: ") and len(ran.err.splitlines()) == 1
