from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_studies import failure_of, grid_of, result_of

from avfeat.training.study.results import FAILED, RESULT, RUNS, ResultError, read, read_all, write


def test_what_is_written_is_read_and_the_checkpoint_goes(tmp_path: Path) -> None:
    one, other = grid_of(tmp_path).runs
    result, failure = result_of(one, 0, 0.25), failure_of(other, 0)
    for outcome in (result, failure):
        folder = tmp_path / RUNS / outcome.key
        for name in ("checkpoints", "tensorboard"):
            (folder / name).mkdir(parents=True)
            (folder / name / "last.pt").write_bytes(b"x")
        (folder / "metrics.jsonl").write_text("{}\n")
        write(folder, outcome)
        assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == sorted(
            [RESULT if outcome is result else FAILED, "metrics.jsonl"]
        )
    (tmp_path / RUNS / "unfinished").mkdir()
    assert read_all(tmp_path) == {result.key: result, failure.key: failure}
    assert read(tmp_path / RUNS / "unfinished") is None and read_all(tmp_path / "nowhere") == {}


def test_a_loss_that_is_no_number_is_null(tmp_path: Path) -> None:
    result = result_of(grid_of(tmp_path).runs[0], 0, 0.25)
    folder = tmp_path / result.key
    write(folder, replace(result, loss=float("nan")))
    assert json.loads((folder / RESULT).read_text())["loss"] is None
    found = read(folder)
    assert found == replace(result, loss=None)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": 3}', '{"key": "a", "unknown": 1}'])
def test_a_file_that_is_no_result_is_named(tmp_path: Path, text: str) -> None:
    folder = tmp_path / RUNS / "key"
    folder.mkdir(parents=True)
    (folder / RESULT).write_text(text)
    with pytest.raises(
        ResultError, match=r"result\.json: is not what a study writes \(.*\); delete it, and the run"
    ):
        read_all(tmp_path)


def test_a_result_of_another_folder_is_named(tmp_path: Path) -> None:
    result = result_of(grid_of(tmp_path).runs[0], 0, 0.25)
    write(tmp_path / RUNS / "copied", result)
    with pytest.raises(ResultError, match="copy whole folders of runs, under their own names"):
        read_all(tmp_path)
