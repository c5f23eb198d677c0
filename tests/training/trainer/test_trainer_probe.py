from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_runs import copied, lines, ran, small

from avfeat.grid import MICROSECONDS
from avfeat.training.checkpoint import Checkpoint
from avfeat.training.data import Cache
from avfeat.training.networks import EncoderPair, build_pair
from avfeat.training.recipes import ProbeSettings
from avfeat.training.trainer import TrainingFinished, TrainingStarted
from avfeat.training.trainer.probe import Accuracy, KnnProbe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pair() -> EncoderPair:
    torch.manual_seed(3)
    return build_pair(small().encoders)


def probe(cache: Cache, **settings: int) -> KnnProbe:
    return KnnProbe(cache, small().encoders, ProbeSettings(**{"clips": 30, "windows": 2} | settings), seed=1)


def test_random_init_leaves_the_model_as_it_was(cache: Cache, pair: EncoderPair) -> None:
    pair.train()
    before, drawn = copied(pair), torch.get_rng_state()
    first = probe(cache).random_init(pair, CPU)
    assert all(torch.equal(one, before[name]) for name, one in pair.state_dict().items())
    assert all(module.training for module in pair.modules()) and torch.equal(drawn, torch.get_rng_state())
    assert probe(cache).random_init(pair, CPU) == first
    assert min(first.both, first.video, first.audio) >= 0 and max(first.both, first.video, first.audio) <= 1


@pytest.mark.parametrize("training", [True, False])
def test_measuring_restores_the_mode(cache: Cache, pair: EncoderPair, training: bool) -> None:
    pair.train(training)
    before = copied(pair)
    seen = []
    hook = pair.video.backbone.register_forward_hook(lambda module, given, out: seen.append(module.training))
    probe(cache).measure(pair, CPU)
    hook.remove()
    assert seen and not any(seen)
    assert all(module.training is training for module in pair.modules())
    assert all(torch.equal(one, before[name]) for name, one in pair.state_dict().items())


@pytest.mark.parametrize(("clips", "windows"), [(13, 5), (16, 4), (2, 1), (33, 2)])
def test_no_batch_is_of_one_window(cache: Cache, pair: EncoderPair, clips: int, windows: int) -> None:
    chosen = probe(cache, clips=clips, windows=windows)
    sizes = [len(frames) for frames, _ in chosen._batches(CPU)]
    assert sum(sizes) == clips * windows and min(sizes) >= 2 and max(sizes) <= 64
    if clips > 2:
        chosen.random_init(pair, CPU)


def test_windows_lie_inside_the_clip_evenly(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[int], int, int]] = []

    class Noting:
        def frames(self, instants: NDArray[np.int64]) -> NDArray[np.uint8]:
            self.instants = instants.tolist()
            return np.zeros((len(instants), 32, 32, 3), np.uint8)

        def sound(self, start: int, count: int, speed: float) -> NDArray[np.float32]:
            assert speed == 1
            asked.append((self.instants, start, count))
            return np.zeros(count, np.float32)

    monkeypatch.setattr(Cache, "clip", lambda self, item: Noting())
    chosen = probe(cache, clips=3, windows=3)
    for _ in chosen._batches(CPU):
        pass
    assert len(asked) == 9
    for number, (instants, start, count) in enumerate(asked):
        row = cache.rows[chosen._items[number // 3]]
        assert row.video_end is not None and row.audio_end is not None and count == 16_000
        end = min(row.video_end, row.audio_end)
        assert row.begin <= start and start + MICROSECONDS <= end
        assert [instant - start for instant in instants] == [125_000, 375_000, 625_000, 875_000]
        room = end - row.begin - MICROSECONDS
        assert start == pytest.approx(row.begin + room * (number % 3 + 0.5) / 3, abs=1)


def fake(rows: list[dict[str, Any]]) -> Any:
    """A cache of which only the index is asked."""
    plain = {"label": 0, "group": None, "both": True}
    full = [plain | row for row in rows]
    return SimpleNamespace(
        rows=[SimpleNamespace(group=row["group"]) for row in full],
        labels=np.array([row["label"] for row in full], dtype=np.int64),
        members=lambda required_streams: np.array([n for n, row in enumerate(full) if row["both"]], dtype=np.int64),
    )


@pytest.mark.parametrize(
    ("rows", "useful"),
    [
        ([], False),
        ([{"label": -1}, {"label": -1}], False),
        ([{"label": 0}, {"label": 1}], False),
        ([{"label": 0}, {"label": 0}], True),
        ([{"label": 0, "group": "a"}, {"label": 0, "group": "a"}, {"label": 1}], False),
        ([{"label": 0, "both": False}, {"label": 0}], False),
    ],
)
def test_it_is_useful_where_a_clip_can_find_another_of_its_label(rows: list[dict[str, Any]], useful: bool) -> None:
    assert probe(fake(rows)).useful is useful


def test_neighbours_never_share_a_group() -> None:
    """Twins lie closest; those of one group do not count, and a clip without a group is one of its own."""
    twins = torch.nn.functional.normalize(torch.tensor([[1, 0.0], [1, 0.01], [0, 1.0], [0.01, 1]]), dim=1)
    labels = [{"label": 0}, {"label": 0}, {"label": 1}, {"label": 1}]
    together = [row | {"group": "ab"[row["label"]]} for row in labels]
    assert probe(fake(labels), neighbours=1)._accuracy(twins) == 1
    assert probe(fake(together), neighbours=1)._accuracy(twins) == 0
    assert probe(fake([*together[:3], labels[3]]), neighbours=1)._accuracy(twins) == 0.5


def test_as_many_neighbours_vote_as_were_asked_for() -> None:
    angles = torch.deg2rad(torch.tensor([0.0, 10, 21, 30]))
    rows = torch.stack([angles.cos(), angles.sin()], dim=1)
    labelled = fake([{"label": label} for label in (1, 0, 1, 1)])
    assert [probe(labelled, neighbours=count)._accuracy(rows) for count in (1, 3)] == [0.5, 0.75]


def test_clips_are_chosen_by_the_seed_alone(cache: Cache) -> None:
    chosen = probe(cache, clips=10)
    assert chosen._items.tolist() == sorted(set(chosen._items.tolist())) and len(chosen._items) == 10
    assert probe(cache, clips=10)._items.tolist() == chosen._items.tolist()
    other = KnnProbe(cache, small().encoders, ProbeSettings(clips=10), seed=2)
    assert other._items.tolist() != chosen._items.tolist()
    assert probe(fake([{"label": 2}, {"label": 2}, {"label": 0}])).chance == pytest.approx(2 / 3)


def test_data_without_labels_is_not_probed(mixed: Cache, tmp_path: Path) -> None:
    events = ran(mixed, tmp_path, small(steps=2, probe__every=1))
    assert isinstance(events[0], TrainingStarted) and events[0].random_init is None and events[0].chance is None
    assert isinstance(events[-1], TrainingFinished) and events[-1].accuracy is None
    assert not any("knn" in key for line in lines(tmp_path) for key in line)


def test_one_label_is_measured_as_what_it_is(mixed: Cache, tmp_path: Path) -> None:
    mixed = Cache(mixed.path)
    mixed.rows, mixed.classes = tuple(replace(row, label="all") for row in mixed.rows), ("all",)
    [started, *_, finished] = ran(mixed, tmp_path, small(steps=1, probe__every=1))
    assert isinstance(started, TrainingStarted) and started.chance == 1 and started.random_init == Accuracy(1, 1, 1)
    assert isinstance(finished, TrainingFinished) and finished.accuracy == Accuracy(1, 1, 1)


def test_the_accuracy_is_that_of_the_weights_of_the_moment(cache: Cache, tmp_path: Path) -> None:
    recipe = small(steps=3, probe__every=2, probe__clips=40)
    events = ran(cache, tmp_path, recipe)
    rows = lines(tmp_path)
    assert ["knn" in row for row in rows] == [False, True, True]
    own = KnnProbe(cache, recipe.encoders, recipe.probe, recipe.seed)
    found = own.measure(Checkpoint.load(tmp_path).pair(), CPU)
    assert isinstance(events[-1], TrainingFinished) and events[-1].accuracy == found
    assert (rows[-1]["knn"], rows[-1]["knn_video"], rows[-1]["knn_audio"]) == (found.both, found.video, found.audio)
    torch.manual_seed(recipe.seed)
    before = own.random_init(build_pair(recipe.encoders), CPU)
    assert isinstance(events[0], TrainingStarted) and events[0].random_init == before == events[-1].random_init
    assert [row["knn_random_init"] for row in rows[1:]] == [before.both] * 2
    assert events[0].chance == own.chance
