from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from avfeat.errors import AvfeatError
from avfeat.training.checkpoint import LAST, Checkpoint, CheckpointError
from avfeat.training.networks import PairSpec, build_pair
from avfeat.training.recipes import Recipe

TINY = PairSpec("tiny_shift", "tiny_mel", seconds=1.0, fps=4, size=32, shared=16)


@pytest.fixture(scope="module")
def whole() -> Checkpoint:
    torch.manual_seed(0)
    state = build_pair(TINY).state_dict()
    return Checkpoint(
        Recipe(TINY).to_values(), 12, {"source": "x", "clips": 3}, {"versions": {}}, state, {"meter": {}}
    )


@pytest.fixture
def saved(whole: Checkpoint, tmp_path: Path) -> Path:
    whole.save(tmp_path / LAST)
    return tmp_path / LAST


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.load(path)
    assert isinstance(caught.value, AvfeatError) and "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_it_goes_round(whole: Checkpoint, saved: Path) -> None:
    for path in (saved, saved.parent.parent):
        found = Checkpoint.load(path)
        assert (found.step, found.data, found.provenance, found.training) == (
            12,
            whole.data,
            whole.provenance,
            whole.training,
        )
        assert found.recipe == whole.recipe and found.spec == TINY
        assert all(torch.equal(one, whole.encoders[name]) for name, one in found.encoders.items())
    pair = found.pair()
    assert not any(module.training for module in pair.modules())
    assert all(torch.equal(one, whole.encoders[name]) for name, one in pair.state_dict().items())
    assert [path.name for path in saved.parent.iterdir()] == ["last.pt"]


def test_a_failed_save_leaves_the_one_before(whole: Checkpoint, saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises((pickle.PicklingError, AttributeError)):
        replace(whole, training={"rest": lambda: None}).save(saved)
    assert saved.read_bytes() == before and [path.name for path in saved.parent.iterdir()] == ["last.pt"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    assert "no checkpoint is there; name the folder of a run" in refused(tmp_path / "gone.pt")
    with pytest.raises(CheckpointError, match=r"checkpoints/last.pt: no checkpoint is there"):
        Checkpoint.load(tmp_path)


def test_what_is_cut_off_is_refused(saved: Path, tmp_path: Path) -> None:
    content, path = saved.read_bytes(), tmp_path / "cut.pt"
    for length in (0, 1, 2, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        assert refused(path) == "is no checkpoint that can be read; take another one."


FOREIGN = (
    b"text\n",
    b"{}",
    b"\x80\x02",
    b"\x80\x02K",
    b"PK\x03\x04",
    b"\x89PNG\r\n",
    b"0" * 600,
    b"q\x07",
    b"\x93",
)


@pytest.mark.parametrize("content", FOREIGN)
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.pt"
    path.write_bytes(content)
    assert refused(path) == "is no checkpoint that can be read; take another one."


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    path, generator = tmp_path / "noise.pt", torch.Generator().manual_seed(0)
    for length in range(1, 300):
        noise = torch.randint(0, 256, (length,), generator=generator, dtype=torch.uint8).numpy().tobytes()
        path.write_bytes(b"\x80\x02" * (length % 2) + noise)
        assert refused(path).startswith("is no checkpoint")


@pytest.mark.parametrize("values", [[1, 2], {"weights": 1}, {"format": "other"}, torch.ones(2)])
def test_other_peoples_files_are_refused(values: Any, tmp_path: Path) -> None:
    torch.save(values, tmp_path / "other.pt")
    assert refused(tmp_path / "other.pt") == "is no checkpoint of avfeat."


def test_versions_and_missing_parts_are_named(saved: Path) -> None:
    values = torch.load(saved, weights_only=True)
    torch.save(values | {"version": 2}, saved)
    assert refused(saved) == "has checkpoint version 2, not 1; use the avfeat that wrote it."
    torch.save({name: value for name, value in values.items() if name not in ("data", "encoders")}, saved)
    assert refused(saved).startswith("has no data, encoders; ")


class Bomb:
    """What a pickle could do to whoever opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_never_runs(saved: Path, tmp_path: Path) -> None:
    values = torch.load(saved, weights_only=True) | {"training": Bomb(tmp_path / "boom")}
    torch.save(values, saved)
    assert refused(saved) == "is no checkpoint that can be read; take another one."
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "boom"), protocol=2))
    assert refused(tmp_path / "plain.pt") == "is no checkpoint that can be read; take another one."
    assert not (tmp_path / "boom").exists()


def test_weights_of_other_networks_are_refused(whole: Checkpoint) -> None:
    wide = replace(whole, recipe=Recipe(replace(TINY, shared=32)).to_values())
    with pytest.raises(CheckpointError, match=r"weights do not fit its networks: size mismatch .*projection"):
        wide.pair()
    some = {name: one for name, one in whole.encoders.items() if "pixels" not in name}
    with pytest.raises(CheckpointError, match="weights do not fit its networks: Missing key"):
        replace(whole, encoders=some).pair()


@pytest.mark.parametrize(
    ("encoders", "says"),
    [
        ({"video": "tiny_shift", "audio": "tiny_mel", "colour": "red"}, "there is no setting 'colour'"),
        ({"video": "huge", "audio": "tiny_mel"}, "There is no video network 'huge'"),
        (None, "must be settings"),
    ],
)
def test_networks_of_another_avfeat_are_the_checkpoints_fault(whole: Checkpoint, encoders: Any, says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        replace(whole, recipe={"encoders": encoders}).pair()
    with pytest.raises(CheckpointError):
        replace(whole, recipe={}).pair()


def test_published_weights_are_not_fetched_again(
    whole: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: pytest.fail("fetches weights"))
    spec = PairSpec("shift_mobilenet", "mel_mobilenet", init="imagenet")
    torch.manual_seed(1)
    state = build_pair(replace(spec, init="none")).state_dict()
    state["video.backbone.pixels.mean"] += 0.125
    pair = replace(whole, recipe=Recipe(spec).to_values(), encoders=state).pair()
    assert all(torch.equal(one, state[name]) for name, one in pair.state_dict().items())
