from __future__ import annotations

import builtins
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

from avfeat.training.checkpoint import LAST
from avfeat.training.cli.train import duration
from avfeat.training.data import CacheSettings, open_or_prepare
from avfeat.training.recipes import list_recipes

SMALL = [
    "encoders.seconds=1.0", "encoders.fps=4", "encoders.size=32", "encoders.shared=16", "log_every=2",
    "objective.settings={simclr: {hidden: 32, out: 32}}", "probe={every: 4, clips: 40, windows: 1}",
]  # fmt: skip
OPTIONS = ["--recipe", "smoke", "--batch-size", 8, "--workers", 0, "--device", "cpu"]
for one in SMALL:
    OPTIONS += ["--set", one]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic videos of each class, prepared; one place for all test processes."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if base.name.startswith("popen-") else base) / "caches"
    return open_or_prepare("synthetic:ave?videos=56", CacheSettings(4, 32), root, workers=0).path


def test_recipes_are_listed(avfeat_command) -> None:
    ran = avfeat_command("train", "--list-recipes")
    assert ran.status == 0 and ran.err == ""
    header, *rows = ran.out.splitlines()
    assert header.split() == ["recipe", "description"]
    assert [row.rstrip().split(maxsplit=1) for row in rows] == [
        [name, text] for name, text in list_recipes().items()
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("x", "-o", "run", "--recipe", "smoek"), "error: There is no recipe 'smoek'; did you mean 'smoke'?"),
        (("x", "-o", "run", "--set", "stesp=1"), "error: mini: there is no setting 'stesp'; did you mean 'steps'?"),
        (("x", "-o", "run", "--steps", "0"), "error: mini: steps must be a whole number from 1 on, not 0."),
        (("x", "-o", "run", "--device", "gpu"), "'gpu' is not one of 'auto', 'cpu', 'cuda'"),
        (("x",), "Missing option '-o'"),
        (("-o", "run"), "Missing argument 'DATA'"),
    ],
)
def test_wrong_usage_is_one_sentence(avfeat_command, arguments: tuple[str, ...], says: str) -> None:
    ran = avfeat_command("train", *arguments)
    assert ran.status == 2 and says in ran.err and ran.out == "" and not Path("run").exists()


def test_an_empty_folder_is_an_input_that_failed(avfeat_command) -> None:
    Path("bare").mkdir()
    ran = avfeat_command("train", "bare", "-o", "run", *OPTIONS)
    assert ran.status == 1 and ran.err == "error: bare: no media file in it.\n" and not Path("run").exists()


@pytest.fixture
def flawed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine clips, one of which cannot be read; its cache is this test's own."""
    monkeypatch.setenv("AVFEAT_CACHE", str(tmp_path / "caches"))
    (tmp_path / "data").mkdir()
    for number in range(8):
        video = VideoTrack(1.5, picture=moving_square(48, 40, number))
        make_media(tmp_path / "data" / f"{number}.mkv", video, AudioTrack(1.5, sound=chirps(number)))
    (tmp_path / "data" / "text.mp4").write_text("text")
    return tmp_path / "data"


def test_as_many_clips_may_fail_as_one_allows(avfeat_command, flawed: Path) -> None:
    ran = avfeat_command("train", flawed, "-o", "run", *OPTIONS, "--steps", 1)
    assert ran.status == 1 and not Path("run").exists()
    assert "1 of 9 clips failed, more than the share of 0.1 that max-failed allows" in ran.err
    ran = avfeat_command("train", flawed, "-o", "run", *OPTIONS, "--steps", 1, "--max-failed", 0.2)
    assert ran.status == 0 and "text.mp4: not a media file that can be read" in ran.err
    assert "steps: 1 of 8 clips" in ran.err
    ran = avfeat_command("train", flawed, "-o", "other", *OPTIONS, "--max-failed", 1.5)
    assert ran.status == 2 and "Invalid value for '--max-failed'" in ran.err


def test_what_goes_on_allows_the_same_failures(avfeat_command, flawed: Path) -> None:
    thread = kill_after(2, signal.SIGTERM)
    options = [*OPTIONS, "--set", "probe.every=0", "--set", "log_every=1", "--max-failed", 0.25]
    ran = avfeat_command("train", flawed, "-o", "run", *options, "--steps", 400)
    thread.join()
    assert ran.status == 143
    command = ran.err.splitlines()[-1].partition("resume with: ")[2]
    assert command == f"avfeat train {flawed} -o run --max-failed 0.25 --resume"


def test_data_that_are_not_there_are_an_error(avfeat_command) -> None:
    ran = avfeat_command("train", "gone", "-o", "run", *OPTIONS)
    assert ran.status == 1 and ran.err == "error: gone: no such file or folder.\n" and not Path("run").exists()


def test_a_training_says_what_it_costs_and_what_came_out(avfeat_command, data: Path) -> None:
    ran = avfeat_command("train", data, "-o", "runs/de mo", *OPTIONS, "--steps", 6, "--checkpoint-every", 4)
    assert ran.status == 0
    said = ran.err.splitlines()
    number = r"\d\.\d{3}"
    accuracy = rf"{number} \(video {number}, audio {number}\)"
    expected = [
        r"parameters: video \d+\.\d\d M, audio \d+\.\d\d M, heads \d+\.\d\d M",
        r"steps: 6 of 8 clips \(0\.9 epochs of 56 clips\)",
        r"time: about \d+ s on cpu, estimated from 2 steps",
        rf"kNN accuracy before training: {accuracy}; the majority class {number}",
        r"step 2/6  loss \d+\.\d{3}  video std \d\.\d\d  audio std \d\.\d\d  \d+\.\d clips/s  \d+ s left",
        rf"step 4/6  loss .*  kNN {number} \(random init {number}\)  .*left",
        rf"step 6/6  loss .*  kNN {number} \(random init {number}\)  .*  0 s left",
        r"next: avfeat export 'runs/de mo' -o 'de mo-bundle'",
    ]
    assert len(said) == len(expected)
    for line, pattern in zip(said, expected, strict=True):
        assert re.fullmatch(pattern, line), line
    rows = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in ran.out.splitlines())
    assert set(rows) == {"steps", "kNN accuracy", "random init", "time", "memory", "checkpoint"}
    assert rows["steps"] == "6" and rows["checkpoint"] == f"runs/de mo/{LAST}"
    assert re.fullmatch(accuracy, rows["kNN accuracy"]) and re.fullmatch(accuracy, rows["random init"])
    assert re.fullmatch(r"\d+ s, \d+\.\d clips/s", rows["time"])
    lines = [json.loads(line) for line in Path("runs/de mo/metrics.jsonl").read_text().splitlines()]
    assert f"{lines[-1]['knn']:.3f} (" in rows["kNN accuracy"] and [line["step"] for line in lines] == [2, 4, 6]

    # Its own recipe is taken; there is nothing to do.
    again = avfeat_command("train", data, "-o", "runs/de mo", "--resume", "--device", "cpu")
    assert again.status == 0
    assert again.err.splitlines()[0] == "runs/de mo: up to date: all 6 steps are done."
    assert f"kNN accuracy  {rows['kNN accuracy']}" in again.out

    refused = avfeat_command("train", data, "-o", "runs/de mo", *OPTIONS)
    assert refused.status == 1
    assert refused.err.startswith("error: runs/de mo: holds a training already; --resume continues it")
    other = avfeat_command("train", data, "-o", "runs/de mo", "--resume", "--seed", 3)
    assert other.status == 1 and "was begun with seed 0, not 3" in other.err


def test_a_smaller_pair_learns_from_a_larger_one(avfeat_command, data: Path) -> None:
    larger = ["--set", "encoders.video=shift_resnet14", "--set", "encoders.audio=mel_resnet14"]
    assert avfeat_command("train", data, "-o", "runs/large", *OPTIONS, *larger, "--steps", 1).status == 0
    taught = ["--set", "distillation.teacher=runs/large"]
    ran = avfeat_command("train", data, "-o", "runs/small", *OPTIONS, *taught, "--steps", 2)
    assert ran.status == 0 and "checkpoint    runs/small/" in ran.out
    line = json.loads(Path("runs/small/metrics.jsonl").read_text().splitlines()[-1])
    assert line["loss"] == pytest.approx(line["objective"] + line["shared"] + 10 * line["distillation"], rel=1e-4)


def test_a_teacher_that_cannot_teach_is_told_of_before_anything_is_decoded(avfeat_command, data: Path) -> None:
    # Were the data looked at first, they would be what is missing.
    ran = avfeat_command("train", "gone", "-o", "run", *OPTIONS, "--set", "distillation.teacher=nobody")
    assert ran.status == 1 and not Path("run").exists()
    assert (
        ran.err.startswith("error: distillation.teacher=nobody: nobody: no checkpoint is there;")
        and ran.err.count("\n") == 1
    )
    assert avfeat_command("train", data, "-o", "teacher", *OPTIONS, "--steps", 1).status == 0
    other = ["--set", "distillation.teacher=teacher", "--set", "encoders.size=48"]
    ran = avfeat_command("train", "gone", "-o", "run", *OPTIONS, *other)
    says = "error: distillation.teacher=teacher: takes windows of size 32, not 48; take another teacher, or --set"
    assert ran.status == 2 and ran.err.startswith(says)


def kill_after(lines: int, number: int) -> threading.Thread:
    def work() -> None:
        path, deadline = Path("run/metrics.jsonl").absolute(), time.monotonic() + 100
        while time.monotonic() < deadline:
            if path.exists() and path.read_bytes().count(b"\n") >= lines:
                os.kill(os.getpid(), number)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(avfeat_command, data: Path, number: int, status: int) -> None:
    thread = kill_after(2, number)
    options = [*OPTIONS, "--set", "probe.every=0", "--set", "log_every=1"]
    ran = avfeat_command("train", data, "-o", "run", *options, "--steps", 400)
    thread.join()
    assert ran.status == status and ran.out == ""
    step = torch.load(Path("run") / LAST, weights_only=True)["step"]
    assert ran.err.splitlines()[-1] == (
        f"stopped after step {step} of 400, which run/{LAST} holds; "
        f"resume with: avfeat train {data} -o run --resume"
    )
    thread = kill_after(step + 2, number)
    ran = avfeat_command("train", data, "-o", "run", "--resume")
    thread.join()
    assert ran.status == status and f"going on after step {step} of 400" in ran.err.splitlines()
    assert torch.load(Path("run") / LAST, weights_only=True)["step"] >= step + 2


def test_a_training_that_diverges_is_an_error(avfeat_command, data: Path) -> None:
    options = [*OPTIONS, "--set", "optimizer={rate: 1e30, warmup: 0}", "--set", "probe.every=0"]
    ran = avfeat_command("train", data, "-o", "run", *options, "--steps", 40)
    assert ran.status == 1 and ran.out == ""
    assert re.fullmatch(
        r"error: step \d+: the loss \(.*\) or its gradient \(.*\) is NaN or infinite; .*", ran.err.splitlines()[-1]
    )
    assert not (Path("run") / LAST).exists()


def test_a_cache_of_another_quality_is_fine_and_one_of_another_size_is_not(avfeat_command) -> None:
    for name, size, quality in (("good", 32, 80), ("large", 48, 95)):
        made = avfeat_command(
            "prepare",
            "synthetic:ave?videos=8",
            name,
            "--size",
            size,
            "--fps",
            4,
            "--quality",
            quality,
            "--workers",
            1,
        )
        assert made.status == 0
    ran = avfeat_command("train", "good", "-o", "run", *OPTIONS, "--steps", 1)
    assert ran.status == 0
    ran = avfeat_command("train", "large", "-o", "other", *OPTIONS, "--steps", 1)
    assert ran.status == 1 and ran.err.startswith("error: large: prepared with ") and "size=48" in ran.err


def test_without_the_extra_the_command_says_how_to_get_it(
    avfeat_command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("avfeat.training.trainer")]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without(name: str, *rest: object, **named: object):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    ran = avfeat_command("train", data, "-o", "run", *OPTIONS)
    assert ran.status == 1
    assert ran.err == "error: torch is not installed; run: pip install 'avfeat[train]'\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99.4, "99 s"), (100, "2 min"), (5969, "99 min"), (6000, "1 h 40 min"), (90_061, "25 h 01 min")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
