from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import lines, ran, small, trainer

from avfeat.training.checkpoint import LAST, Checkpoint
from avfeat.training.data import Cache
from avfeat.training.objectives import alignment, embedding_std, uniformity
from avfeat.training.trainer import DivergedError, WarningIssued
from avfeat.training.trainer.model import StepOutput
from avfeat.training.trainer.watch import Finite, collapse, signs


def outcome(**views: Any) -> StepOutput:
    zero = torch.zeros(())
    embeddings = {name: torch.cat([one, one]) for name, one in views.pop("embeddings", {}).items()}
    return StepOutput(zero, zero, {}, None, None, views, embeddings)  # type: ignore[arg-type]


def test_numbers_are_looked_at_one_step_late() -> None:
    finite = Finite()
    finite.check()
    finite.watch(1, torch.tensor(1.0), torch.tensor(2.0))
    finite.watch(2, torch.tensor(1.0), torch.tensor(math.inf))
    with pytest.raises(
        DivergedError, match=r"^step 2: the loss \(1\) or its gradient \(inf\) is NaN or infinite; "
    ):
        finite.watch(3, torch.tensor(1.0), torch.tensor(2.0))
    finite.watch(3, torch.tensor(math.nan), torch.tensor(2.0))
    with pytest.raises(DivergedError, match="step 3: the loss "):
        finite.check()
    finite.check()


def first_bad_step(cache: Cache, changes: dict[str, Any]) -> int:
    """By a look at every step, whatever that costs."""
    one = trainer(cache, small(**changes))
    with one.batches(0) as batches:
        for step in range(changes["steps"]):
            bad: list[bool] = []
            one._finite.watch = lambda _, *values, bad=bad: bad.extend(not torch.isfinite(v) for v in values)  # type: ignore
            one.step(step, batches)
            if any(bad):
                return step + 1
    raise AssertionError("nothing is wrong")


@pytest.mark.parametrize("every", [1, 100])
def test_a_training_that_diverges_stops_and_names_the_step(cache: Cache, tmp_path: Path, every: int) -> None:
    changes = {"steps": 40, "optimizer__lr": 1e30, "optimizer__warmup": 0.0, "checkpoint_every": every}
    bad = first_bad_step(cache, changes)
    assert 1 < bad < 40
    with pytest.raises(DivergedError, match=rf"^step {bad}: the loss "):
        ran(cache, tmp_path, small(**changes))
    assert (tmp_path / LAST).exists() == (every == 1)
    if every == 1:
        kept = Checkpoint.load(tmp_path)
        assert kept.step == bad - 1
        assert all(bool(torch.isfinite(one).all()) for one in kept.encoders.values())
    for text in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_the_last_step_is_looked_at_too(cache: Cache, tmp_path: Path) -> None:
    changes = {"steps": 40, "optimizer__lr": 1e30, "optimizer__warmup": 0.0}
    # Without warm-up the first step has the peak's rate, however many there are.
    changes["steps"] = bad = first_bad_step(cache, changes)
    with pytest.raises(DivergedError, match=rf"^step {bad}: "):
        ran(cache, tmp_path, small(**changes))
    assert not (tmp_path / LAST).exists()


def test_sound_that_is_no_number_stops_it(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from avfeat.training.data.clip import Clip

    real, calls = Clip.sound, []

    def spoilt(self: Clip, start: int, count: int, speed: float = 1.0, out: Any = None) -> Any:
        found = real(self, start, count, speed, out)
        calls.append(count)
        # Two views of eight clips are a batch: the third one is wrong.
        if len(calls) == 2 * 16 + 5:
            found[100] = math.nan
        return found

    monkeypatch.setattr(Clip, "sound", spoilt)
    with pytest.raises(DivergedError, match=r"^step 3: the loss "):
        ran(cache, tmp_path, small(steps=9, checkpoint_every=1))
    kept = Checkpoint.load(tmp_path)
    assert kept.step == 2 and all(bool(torch.isfinite(one).all()) for one in kept.encoders.values())
    assert [line["loss"] is None for line in lines(tmp_path)] == [False, False, True]


def test_signs_are_of_clips_that_are_there() -> None:
    generator = torch.Generator().manual_seed(0)
    sides = torch.randn(2, 6, 5, generator=generator)
    here = torch.tensor([1, 1, 0, 1, 0, 1], dtype=torch.bool)
    sides[:, ~here] = math.nan
    everyone = torch.ones(6, dtype=torch.bool)
    found = signs(outcome(audio=list(sides)), {"video": everyone, "audio": here})
    one, other = (side[here] for side in sides)
    assert found["audio_std"] == pytest.approx(embedding_std(one).item() * math.sqrt(5))
    assert found["audio_uniformity"] == pytest.approx(uniformity(one).item())
    assert found["audio_alignment"] == pytest.approx(alignment(one, other).item())
    assert set(found) == {"audio_std", "audio_uniformity", "audio_alignment"}


def test_random_directions_have_std_1() -> None:
    side = torch.randn(4000, 64, generator=torch.Generator().manual_seed(0))
    found = signs(outcome(video=[side]), {"video": torch.ones(4000, dtype=torch.bool)})
    assert found["video_std"] == pytest.approx(1, abs=0.02) and "video_alignment" not in found


def test_the_shared_space_is_aligned_where_both_are_there() -> None:
    generator = torch.Generator().manual_seed(0)
    video, audio = torch.randn(2, 4, 3, generator=generator)
    here = {"video": torch.tensor([1, 1, 1, 0]).bool(), "audio": torch.tensor([1, 0, 1, 1]).bool()}
    views = {name: one.repeat_interleave(2, dim=0) for name, one in (("video", video), ("audio", audio))}
    zero = torch.zeros(())
    found = signs(StepOutput(zero, zero, {}, None, None, {}, views), here)  # type: ignore[arg-type]
    assert found == {"shared_alignment": pytest.approx(alignment(video[[0, 2]], audio[[0, 2]]).item())}
    nobody = {"video": here["video"], "audio": ~here["video"]}
    assert signs(StepOutput(zero, zero, {}, None, None, {}, views), nobody) == {}  # type: ignore[arg-type]


def test_a_single_clip_has_no_spread() -> None:
    one = torch.tensor([True, False, False])
    assert signs(outcome(video=[torch.randn(3, 4)] * 2), {"video": one, "audio": one}) == {}


def test_each_modality_is_warned_of_once() -> None:
    known: set[str] = set()
    assert collapse({"step": 1, "video_std": 0.5, "audio_std": math.nan}, known) is None
    sentence = collapse({"step": 2, "video_std": 0.05, "audio_std": 0.9, "loss": 0.0}, known)
    assert sentence is not None and sentence.startswith("step 2: the video embeddings have COLLAPSED")
    assert "(std 0.050, healthy is 1)" in sentence
    assert collapse({"step": 3, "video_std": 0.04, "audio_std": 0.9}, known) is None
    both = collapse({"step": 4, "video_std": 0.04, "audio_std": 0.01}, known)
    assert both is not None and "the audio embeddings" in both and "video" not in both


def test_a_training_that_collapses_says_so_once(cache: Cache, tmp_path: Path) -> None:
    """VICReg without what keeps it from collapse: closeness alone is best when all are the same."""
    alone = {"hidden": 32, "out": 32, "variance": 0.0, "covariance": 0.0}
    recipe = small(
        steps=32,
        objective={"name": "vicreg", "settings": {"vicreg": alone}},
        optimizer__lr=0.1,
        shared__weight=0.0,
    )
    events = ran(cache, tmp_path, recipe)
    warned = [event.message for event in events if isinstance(event, WarningIssued)]
    assert warned and len(warned) <= 2
    assert all("COLLAPSED" in message for message in warned)
    assert sum("video" in message.split("embeddings")[0] for message in warned) <= 1
    assert min(lines(tmp_path)[-1][f"{name}_std"] for name in ("video", "audio")) < 0.1
