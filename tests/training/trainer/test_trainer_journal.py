from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from small_runs import ran, small

from avfeat.errors import OutputError
from avfeat.training.data import Cache
from avfeat.training.recipes import load_recipe
from avfeat.training.trainer.journal import RunLogger, read_metrics, write_recipe, write_run


def test_lines_are_json_whatever_the_numbers(tmp_path: Path) -> None:
    with RunLogger(tmp_path, 0) as journal:
        journal.write({"step": 1, "loss": 0.25, "video_std": math.nan})
        # Seen at once by whoever follows the file.
        assert read_metrics(tmp_path) == [{"step": 1, "loss": 0.25, "video_std": None}]
        journal.write({"step": 2, "loss": math.inf})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text == '{"step": 1, "loss": 0.25, "video_std": null}\n{"step": 2, "loss": null}\n'
    assert [path.name.startswith("events.out.tfevents") for path in (tmp_path / "tensorboard").iterdir()] == [True]


def test_going_on_drops_what_will_be_done_again(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("".join(f'{{"step": {n}}}\n' for n in (2, 4, 6, 8)) + '{"step": 1')
    with RunLogger(tmp_path, 5) as journal:
        assert [line["step"] for line in read_metrics(tmp_path)] == [2, 4]
        journal.write({"step": 6})
    assert [line["step"] for line in read_metrics(tmp_path)] == [2, 4, 6]
    with RunLogger(tmp_path, 0):
        assert read_metrics(tmp_path) == []
    assert read_metrics(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("text", ["no json\n", "[1]\n", '{"loss": 1}\n', '{"step": "x"}\n'])
def test_foreign_metrics_are_not_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(OutputError, match=r"metrics.jsonl: is not what a run of avfeat writes; move it away"):
        RunLogger(tmp_path, 3)
    assert (tmp_path / "metrics.jsonl").read_text() == text


def test_every_start_is_noted(tmp_path: Path) -> None:
    write_run(tmp_path, {"step": 0})
    write_run(tmp_path, {"step": 7, "device": "cpu"})
    assert json.loads((tmp_path / "run.json").read_text()) == {
        "starts": [{"step": 0}, {"step": 7, "device": "cpu"}]
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", "text"])
def test_a_foreign_run_json_is_not_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(OutputError, match=r"run.json: is not what a run of avfeat writes"):
        write_run(tmp_path, {})
    assert (tmp_path / "run.json").read_text() == text


def test_a_run_leaves_all_its_files(cache: Cache, tmp_path: Path) -> None:
    recipe = small(steps=3, log_every=2, probe__every=3, checkpoint_every=2, description="söme 'words': #1")
    ran(cache, tmp_path, recipe, stop_after=2)
    ran(cache, tmp_path, recipe, resume=True)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    plain = [name for name in found if not name.startswith("tensorboard")]
    assert plain == ["checkpoints/last.pt", "metrics.jsonl", "recipe.yaml", "run.json"]
    assert len(plain) < len(found)
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows] == [2, 3]
    sides = {f"{side}_{sign}" for side in ("video", "audio") for sign in ("std", "alignment", "uniformity")}
    kinds = {"video_video", "audio_audio", "video_audio"}
    every = {"step", "loss", "objective", "shared", "grad_norm", "rate", "shared_alignment", *sides, *kinds}
    assert set(rows[0]) == every | {"clips_per_second", "waiting", "seconds"}
    knn = {f"knn{init}{side}" for init in ("", "_random_init") for side in ("", "_video", "_audio")}
    assert set(rows[1]) == set(rows[0]) | knn
    assert rows[0]["seconds"] < rows[1]["seconds"]
    assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe
    starts = json.loads((tmp_path / "run.json").read_text())["starts"]
    assert [start["step"] for start in starts] == [0, 2]
    assert {"data", "revision", "versions", "device", "threads", "processes", "started"} <= starts[0].keys()
    assert starts[0]["data"]["clips"] == 56 and starts[0]["data"]["source"] == "some clips"
    assert not list(tmp_path.rglob(".avfeat-*"))


def test_the_recipe_is_written_for_people(tmp_path: Path) -> None:
    write_recipe(tmp_path, small(description="für alle"))
    text = (tmp_path / "recipe.yaml").read_text("utf-8")
    assert text.startswith("description: für alle\nencoders:")
    # Small settings take a line, not one for each name.
    assert "\n  - time_mask: {p: 0.5, " in text
