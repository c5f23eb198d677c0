from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from clocks import clock, number_of, on_screen, time_of
from making import AudioTrack, VideoTrack, make_media

from avfeat.errors import ArgumentError
from avfeat.grid import MICROSECONDS
from avfeat.training.data import Cache, CacheSettings, Clip, Sampling, open_source, prepare
from avfeat.training.data.loader import Batch, make_loader

SAMPLING = Sampling(
    seconds=1.0,
    frames=8,
    spacing="decreasing",
    speed=(0.7, 1.4),
    jitter=0.3,
    timeline="offset",
    max_offset=0.2,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Eleven clocks of two classes, the sound longer or the pictures; one without sound, one without pictures."""
    root = tmp_path_factory.mktemp("loader")
    for number in range(11):
        folder = root / "data" / ("odd" if number % 2 else "even")
        folder.mkdir(parents=True, exist_ok=True)
        clock(folder / f"{number}.mkv", 2.0 + number / 5, 2.4 + number / 5 if number < 6 else number / 5)
    make_media(root / "data" / "odd" / "silent.mkv", VideoTrack(2.0))
    make_media(root / "data" / "even" / "blind.mkv", None, AudioTrack(2.0))
    list(prepare(str(root / "data"), root / "cache", CacheSettings(size=48), workers=0))
    return Cache(root / "cache")


def batches(cache: Cache, **options: object) -> list[Batch]:
    given = {"batch_size": 4, "steps": 7, "seed": 3} | options
    return list(make_loader(cache, given.pop("sampling", SAMPLING), **given))  # type: ignore[arg-type]


def assert_equal(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert torch.equal(one[name], other[name]), name


def test_a_batch_is_as_written_down(cache: Cache) -> None:
    batch = batches(cache, steps=1)[0]
    assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in batch.items()} == {
        "frames": ((4, 2, 8, 48, 48, 3), torch.uint8),
        "waveform": ((4, 2, 16_000), torch.float32),
        "has_video": ((4,), torch.bool),
        "has_audio": ((4,), torch.bool),
        "label": ((4,), torch.int64),
        "item": ((4,), torch.int64),
        "video_start": ((4, 2), torch.int64),
        "audio_start": ((4, 2), torch.int64),
        "speed": ((4, 2), torch.float64),
        "audio_speed": ((4, 2), torch.float64),
    }


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker")
@pytest.mark.parametrize("workers", [1, 3])
def test_workers_make_no_difference(cache: Cache, workers: int) -> None:
    assert_equal(batches(cache, workers=workers), batches(cache))


def test_a_training_that_goes_on_sees_what_it_would_have_seen(cache: Cache) -> None:
    assert_equal(batches(cache, start_step=3), batches(cache)[3:])
    assert_equal(batches(cache, start_step=5, workers=1), batches(cache)[5:])
    assert batches(cache, start_step=7) == []


def test_seeds_ranks_and_steps_differ(cache: Cache) -> None:
    several = [batches(cache, steps=2)[0], batches(cache, steps=2)[1]]
    several += [batches(cache, steps=1, seed=4)[0], batches(cache, steps=1, rank=1, world_size=2)[0]]
    shifts = [batch["audio_start"] - batch["video_start"] for batch in several]
    assert len({tuple(shift.flatten().tolist()) for shift in shifts}) == 4


def test_ranks_share_no_item(cache: Cache) -> None:
    for step in range(4):
        ranks = [batches(cache, start_step=step, steps=step + 1, rank=rank, world_size=3)[0] for rank in range(3)]
        assert len(torch.cat([batch["item"] for batch in ranks]).unique()) == 12


def test_what_a_batch_holds_is_from_its_times(cache: Cache) -> None:
    sampling = Sampling(seconds=1.0, frames=8, speed=(0.6, 1.5), timeline="offset", max_offset=0.1)
    for batch in batches(cache, sampling=sampling, steps=3, required_streams="both"):
        for row, item in enumerate(batch["item"].tolist()):
            facts = cache.rows[item]
            assert facts.video_end is not None and facts.audio_end is not None
            pictures, sound = facts.video_end / MICROSECONDS, facts.audio_end / MICROSECONDS
            for view in range(2):
                start, speed = batch["video_start"][row, view].item(), batch["speed"][row, view].item()
                assert start / MICROSECONDS + speed <= max(min(pictures, sound), speed) + 1e-5
                shown = [number_of(pixels.numpy()) for pixels in batch["frames"][row, view]]
                for index, number in enumerate(shown):
                    instant = start / MICROSECONDS + (index + 0.5) / 8 * speed
                    near = [on_screen(instant + d, Fraction(25), round(pictures * 25)) for d in (-0.0626, 0.0626)]
                    assert near[0] <= number <= near[1]
                heard = time_of(batch["waveform"][row, view].numpy())
                start, speed = batch["audio_start"][row, view].item(), batch["audio_speed"][row, view].item()
                for index in (2000, 8000, 14_000):
                    time = start / MICROSECONDS + index / 16_000 * speed
                    if 0.03 < time < sound - 0.03:
                        assert heard[index] == pytest.approx(time, abs=1e-3)


def test_loading_leaves_the_global_generator_alone(cache: Cache) -> None:
    before = torch.get_rng_state()
    batches(cache, steps=1, workers=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_labels_and_masks_are_those_of_the_items(cache: Cache) -> None:
    seen = set()
    for batch in batches(cache, steps=6):
        for row, item in enumerate(batch["item"].tolist()):
            facts = cache.rows[item]
            assert cache.classes[int(batch["label"][row])] == facts.label
            assert bool(batch["has_video"][row]) == (facts.video_end is not None)
            assert bool(batch["has_audio"][row]) == (facts.audio_end is not None)
            assert bool(batch["waveform"][row].any()) == (facts.audio_end is not None)
            assert bool(batch["frames"][row].any()) == (facts.video_end is not None)
            seen.add(item)
    assert len(seen) == len(cache)


def test_items_without_labels_have_none(tmp_path: Path) -> None:
    clock(tmp_path / "a.mkv")
    list(prepare(str(tmp_path / "a.mkv"), tmp_path / "c", CacheSettings(size=48), workers=0))
    [batch] = batches(Cache(tmp_path / "c"), batch_size=1, steps=1)
    assert batch["label"].tolist() == [-1]


def test_labels_change_nothing_but_their_field(cache: Cache, tmp_path: Path) -> None:
    data = cache.path.parent / "data"
    rows = [f"{item.media.name},{'xy'[index % 2]}" for index, item in enumerate(open_source(str(data)).items)]
    (tmp_path / "t.csv").write_text("file,label\n" + "\n".join(rows))
    list(prepare(str(tmp_path / "t.csv"), tmp_path / "c", CacheSettings(size=48), workers=0))
    found, expected = batches(Cache(tmp_path / "c")), batches(cache)
    labels = [torch.cat([batch.pop("label") for batch in loaded]) for loaded in (found, expected)]
    assert not torch.equal(*labels)
    assert_equal(found, expected)


def test_needs_both_leaves_out_what_lacks_a_stream(cache: Cache) -> None:
    items = torch.cat([batch["item"] for batch in batches(cache, steps=10, required_streams="both")]).unique()
    assert set(items.tolist()) == set(cache.members("both").tolist())
    assert len(items) == 11 and all(cache.rows[item].audio_end for item in items.tolist())


def test_batches_that_cannot_be(cache: Cache) -> None:
    with pytest.raises(ArgumentError, match="There are 13 items for a global batch of 14"):
        make_loader(cache, SAMPLING, 7, 1, world_size=2)
    with pytest.raises(ArgumentError, match="rank must be from 0"):
        make_loader(cache, SAMPLING, 1, 1, rank=2, world_size=2)


def test_only_what_a_view_needs_is_decoded(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    real = Clip.frames
    monkeypatch.setattr(
        Clip, "frames", lambda self, instants, out: taken.append(len(instants)) or real(self, instants, out)
    )
    batches(cache, steps=1)
    assert taken == [8] * 8
