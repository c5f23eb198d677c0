from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from clocks import clock, number_of, on_screen, time_of
from hypothesis import given
from hypothesis import strategies as st

from avfeat.errors import ArgumentError
from avfeat.grid import MICROSECONDS
from avfeat.media import AudioSpec
from avfeat.training.data import CacheSettings, Clip, Sampling, ViewTimes, draw
from avfeat.training.data.randomness import Order, generator
from avfeat.training.data.record import record
from avfeat.training.data.sampling import Offset, decreasing
from avfeat.training.data.sources.media import FileMedia

END = 10 * MICROSECONDS


def many(sampling: Sampling, count: int = 2000, **ends: int | None) -> list[tuple[ViewTimes, ...]]:
    both = {"video_end": END, "audio_end": END} | ends
    return [draw(np.random.default_rng(seed), sampling, **both) for seed in range(count)]


@st.composite
def samplings(draw: st.DrawFn) -> Sampling:
    spacing = draw(st.sampled_from(["independent", "decreasing", "same"]))
    slow, fast = sorted(draw(st.tuples(st.floats(0.3, 3), st.floats(0.3, 3))))
    timeline = draw(st.sampled_from(["shared", "offset"]))
    return Sampling(
        views=2 if spacing == "decreasing" else draw(st.integers(1, 3)),
        seconds=draw(st.floats(0.1, 3)),
        frames=draw(st.integers(1, 20)),
        offset=draw(st.sampled_from(["random", "centre", "start"])),
        spacing=spacing,
        power=draw(st.floats(0.05, 8)),
        speed=(slow, fast) if draw(st.booleans()) else (1.0, 1.0),
        audio_speed=draw(st.sampled_from(["follow", "keep"])),
        jitter=draw(st.floats(0, 0.5)),
        timeline=timeline,
        max_offset=draw(st.floats(0.01, 2)) if timeline == "offset" else 0.0,
    )


# Not whole microseconds at random: these would be small ones, mostly.
ENDS = st.integers(1, 600).map(lambda number: number * 20_011)


@given(
    samplings(),
    ENDS | st.none(),
    ENDS | st.none(),
    st.integers(0, 100).map(lambda number: number * 20_011),
    st.integers(0, 2**32),
)
def test_views_lie_where_the_clip_is(
    sampling: Sampling, video_end: int | None, audio_end: int | None, begin: int, seed: int
) -> None:
    ends = [end for end in (video_end, audio_end) if end is not None]
    if not ends:
        with pytest.raises(ArgumentError, match="no views"):
            draw(np.random.default_rng(seed), sampling, None, None)
        return
    views = draw(np.random.default_rng(seed), sampling, video_end, audio_end, begin)
    assert len(views) == sampling.views
    for view in views:
        low, high = sampling.speed
        span = sampling.seconds * view.speed * MICROSECONDS
        assert low * 0.999999 <= view.speed <= high * 1.000001
        assert view.start >= 0
        assert view.start + span <= max(min(ends), span) + 1
        assert len(view.frames) == sampling.frames
        assert view.frames[0] >= view.start - 1 and view.frames[-1] <= view.start + span + 1
        assert (np.diff(view.frames) >= 0).all()
        even = view.start + (np.arange(sampling.frames) + 0.5) * span / sampling.frames
        assert np.abs(view.frames - even).max() <= sampling.jitter * span / sampling.frames + 1
        assert abs(view.sound - view.start) <= sampling.max_offset * MICROSECONDS
        assert view.sound_speed == (view.speed if sampling.audio_speed == "follow" else 1.0)
    spans = [sampling.seconds * view.speed * MICROSECONDS for view in views]
    for view, span in zip(views, spans, strict=True):
        if begin + (span if sampling.spacing == "independent" else max(spans)) < min(ends) - 1:
            assert view.start >= begin
    if sampling.spacing == "same":
        assert len({view.start for view in views}) == 1


@given(samplings(), st.integers(0, 2**32))
def test_the_same_generator_gives_the_same_views(sampling: Sampling, seed: int) -> None:
    first, second = (draw(np.random.default_rng(seed), sampling, END, END) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert (one.frames == other.frames).all()
        assert [one.start, one.speed, one.sound] == [other.start, other.speed, other.sound]


def test_random_starts_are_uniform() -> None:
    starts = np.array([[view.start for view in views] for views in many(Sampling())]) / (8 * MICROSECONDS)
    assert starts.min() < 0.01 and starts.max() > 0.99
    assert np.abs(np.histogram(starts, 5, (0, 1))[0] / starts.size - 0.2).max() < 0.025
    assert abs(np.corrcoef(starts.T)[0, 1]) < 0.06


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_gaps_have_the_density_of_cvrl(power: float) -> None:
    starts = np.array(
        [[view.start for view in views] for views in many(Sampling(spacing="decreasing", power=power), 4000)]
    )
    gaps = np.abs(starts[:, 0] - starts[:, 1]) / (8 * MICROSECONDS)
    edges = np.linspace(0, 1, 6)
    cumulative = ((power + 1) * edges - edges ** (power + 1)) / power
    assert np.abs(np.histogram(gaps, edges)[0] / len(gaps) - np.diff(cumulative)).max() < 0.03
    assert 0.45 < (starts[:, 0] < starts[:, 1]).mean() < 0.55
    # The pair as a whole is anywhere in what the gap leaves.
    first = starts.min(axis=1) / (8 * MICROSECONDS * (1 - gaps) + 1)
    assert np.abs(np.histogram(first, 4, (0, 1))[0] / len(first) - 0.25).max() < 0.03


@given(st.floats(0, 1), st.floats(0.01, 100))
def test_decreasing_inverts_its_distribution(level: float, power: float) -> None:
    gap = decreasing(level, power)
    assert 0 <= gap <= 1
    assert ((power + 1) * gap - gap ** (power + 1)) / power == pytest.approx(level, abs=1e-9)


def test_centre_and_start_are_where_they_say() -> None:
    assert {view.start for views in many(Sampling(offset="centre"), 5) for view in views} == {4 * MICROSECONDS}
    assert {view.start for views in many(Sampling(offset="start"), 5) for view in views} == {0}
    for views in many(Sampling(offset="centre", spacing="decreasing"), 20):
        assert sum(view.start for view in views) == pytest.approx(8 * MICROSECONDS, abs=2)


@pytest.mark.parametrize("offset", ["random", "centre", "start"])
def test_a_view_that_is_too_long_leaves_the_others_where_they_are(offset: Offset) -> None:
    begin, room = 4 * MICROSECONDS, 6 * MICROSECONDS
    long_and_short = 0
    for views in many(Sampling(offset=offset, speed=(0.5, 5.0)), 200, begin=begin):
        spans = [2 * MICROSECONDS * view.speed for view in views]
        for view, span in zip(views, spans, strict=True):
            if span < room - 1:
                assert view.start >= begin
            else:
                assert view.start == pytest.approx(END - span, abs=1)
        long_and_short += min(spans) < room < max(spans)
    assert long_and_short > 20


def test_speeds_are_log_uniform() -> None:
    speeds = np.log2([view.speed for views in many(Sampling(speed=(0.5, 2.0))) for view in views])
    assert np.abs(np.histogram(speeds, 4, (-1, 1))[0] / len(speeds) - 0.25).max() < 0.03


def test_sound_is_displaced_both_ways_when_it_may_be() -> None:
    views = [view for views in many(Sampling(timeline="offset", max_offset=0.5), 500) for view in views]
    shifts = np.array([view.sound - view.start for view in views]) / MICROSECONDS
    assert shifts.min() < -0.45 and shifts.max() > 0.45 and abs(shifts.mean()) < 0.05


def test_short_clips_begin_at_their_beginning() -> None:
    for views in many(Sampling(spacing="decreasing"), 5, video_end=700_000, audio_end=None):
        assert [view.start for view in views] == [0, 0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"views": 0}, "views must be a whole number"),
        ({"frames": 2.0}, "frames must be a whole number"),
        ({"seconds": 0}, "seconds must be a number from 0.05"),
        ({"seconds": float("nan")}, "seconds must be"),
        ({"offset": "middle"}, "offset must be one of random, centre, start"),
        ({"spacing": "none"}, "spacing must be one of"),
        ({"audio_speed": "fast"}, "audio_speed must be one of"),
        ({"timeline": "both"}, "timeline must be one of"),
        ({"power": 0}, "power must be"),
        ({"speed": (2.0, 0.5)}, "speed must be two numbers from 0.0625 to 16.0, the smaller one first"),
        ({"speed": (0.0, 1.0)}, "speed must be two numbers from 0.0625 to 16.0, the smaller one first"),
        ({"speed": (1.0,)}, "speed must be two numbers from 0.0625 to 16.0, the smaller one first"),
        ({"jitter": 0.6}, "jitter must be a number from 0 to 0.5"),
        ({"spacing": "decreasing", "views": 3}, "the gap between 2 views, not between 3"),
        ({"timeline": "offset"}, "goes with a max_offset above 0"),
        ({"max_offset": 1.0}, "goes with a max_offset above 0"),
    ],
)
def test_samplings_that_no_view_can_have(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        Sampling(**wrong)  # type: ignore[arg-type]


# From the cache


@pytest.fixture(scope="module", params=["25", "30000/1001", "5"])
def clocked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, Fraction]:
    fps = Fraction(request.param)
    folder = tmp_path_factory.mktemp("clocks")
    path = clock(folder / "a.mkv", fps=fps, audio=5.5)
    settings = CacheSettings(fps=12 if fps > 25 else 8, size=48, sample_rate=16_000 if fps > 20 else 22_050)
    record(FileMedia(path), settings, folder / "a.clip", folder)
    return Clip(folder / "a.clip"), fps


@given(samplings(), st.integers(0, 2**32))
def test_what_a_view_holds_is_from_the_time_that_it_says(
    clocked: tuple[Clip, Fraction], sampling: Sampling, seed: int
) -> None:
    clip, fps = clocked
    rate, step = clip.settings.sample_rate, Fraction(MICROSECONDS, clip.settings.fps)
    for view in draw(np.random.default_rng(seed), sampling, clip.facts.video_end, clip.facts.audio_end):
        for instant, pixels in zip(view.frames, clip.frames(view.frames), strict=True):
            earliest = on_screen(float(instant - step / 2) / MICROSECONDS - 1e-6, fps, round(6 * fps))
            latest = on_screen(float(instant + step / 2) / MICROSECONDS + 1e-6, fps, round(6 * fps))
            assert earliest <= number_of(pixels) <= latest
        count = sampling.samples(rate)
        found = clip.sound(view.sound, count, view.sound_speed)
        first = AudioSpec(rate, count).position(view.sound) / rate
        times = first + np.arange(count) * round(rate * view.sound_speed) / rate**2
        assert len(found) == count
        # The filter of another speed sees the zeros around the clip.
        edge = 0 if round(rate * view.sound_speed) == rate else 0.03
        inside = (times >= edge) & (times < clip.samples / rate - edge)
        assert np.abs(time_of(found[inside]) - times[inside]).max(initial=0) < 5e-4
        outside = (times < -edge) | (times >= clip.samples / rate + edge)
        assert np.abs(found[outside]).max(initial=0) < 1e-3


# Randomness


def test_every_place_has_numbers_of_its_own() -> None:
    places = [("a", 1), ("a", 1, 0), ("a", 0, 1), ("b", 1), ("a", 10), ("a", 1, 0, 0)]
    assert len({generator(*place).integers(2**62) for place in places}) == len(places)
    assert generator("a", 1, 2).integers(2**62) == generator("a", 1, 2).integers(2**62)


@given(
    items=st.integers(1, 60),
    batch=st.integers(1, 7),
    world_size=st.integers(1, 4),
    seed=st.integers(0, 5),
)
def test_an_epoch_is_whole_batches_of_different_items(items: int, batch: int, world_size: int, seed: int) -> None:
    members = np.arange(items, dtype=np.int64) * 3
    if items < batch * world_size:
        with pytest.raises(ArgumentError, match=f"{items} items for a global batch of {batch * world_size}"):
            Order(members, seed, batch, world_size)
        return
    steps = items // (batch * world_size)
    ranks = [Order(members, seed, batch, world_size) for _ in range(world_size)]
    epochs = []
    for epoch in range(2):
        seen = [
            ranks[rank].item(epoch * steps + step, rank, sample)
            for step in range(steps)
            for rank in range(world_size)
            for sample in range(batch)
        ]
        assert len(set(seen)) == len(seen) == steps * batch * world_size
        assert set(seen) <= set(members.tolist())
        epochs.append(seen)
    if items > 20:
        assert epochs[0] != epochs[1]


def test_left_over_items_take_part_in_other_epochs() -> None:
    order = Order(np.arange(10), 0, 4)
    assert {order.item(step, 0, sample) for step in range(20) for sample in range(4)} == set(range(10))
