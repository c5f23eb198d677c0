from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avfeat.errors import ArgumentError
from avfeat.training.augment.clips import Clips
from avfeat.training.augment.compose import Composition, composition, list_compositions, load_composition
from avfeat.training.augment.incoherent import Reversal
from avfeat.training.augment.registry import AUGMENTATIONS, name_of
from avfeat.training.augment.sample_rng import SampleRNG
from avfeat.training.augment.temporal import Fade, TimeMask
from avfeat.training.data.sampling import Sampling
from avfeat.training.networks import PairSpec
from avfeat.training.schema import build, read_yaml

SEEDS = torch.randint(0, 1 << 62, (3,), generator=torch.Generator().manual_seed(5))


def clips() -> Clips:
    generator = torch.Generator().manual_seed(2)
    return Clips(
        torch.rand(3, 16, 3, 32, 32, generator=generator), torch.rand(3, 8000, generator=generator) - 0.5, 16_000
    )


@pytest.mark.parametrize("name", list_compositions())
def test_shipped_compositions_load_and_run(name: str) -> None:
    chosen, before = load_composition(name), clips()
    after = chosen(before, SampleRNG(SEEDS))
    assert before.waveform is not None
    assert after.waveform is not None
    assert not torch.equal(after.waveform, before.waveform)
    still = replace(chosen, strength=0.0)
    assert still(before, SampleRNG(SEEDS)) == before


def test_the_four_that_the_study_needs_are_there() -> None:
    assert set(list_compositions()) >= {"reference", "sampling-only", "incoherent", "clar"}
    lossy = [one for one in load_composition("reference").augmentations if one.family == "lossy coherent"]
    assert {name_of(one) for one in lossy} == {"fade", "time_mask"}
    rest = [one for one in load_composition("reference").augmentations if one.family != "lossy coherent"]
    assert tuple(rest) == load_composition("sampling-only").augmentations
    assert load_composition("reference").sampling == load_composition("sampling-only").sampling


def test_every_augmentation_has_a_name_a_family_and_a_source() -> None:
    for name, kind in AUGMENTATIONS.items():
        assert name_of(kind()) == name
        assert kind.family in ("lossy coherent", "lossy spatial", "lossy spectral", "incoherent")
        assert kind.__doc__
        assert "Attributes" in kind.__doc__ or len(fields(kind)) <= 4


def test_order_and_settings_are_as_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        """
strength: 0.5
sampling: {jitter: 0.4, speed: [0.5, 2], spacing: decreasing}
augmentations:
  - reversal
  - time_mask: {p: 0.25, fraction: 0.5, fill: mean, strength: 0.8}
  - fade:
"""
    )
    found = load_composition(str(path))
    assert found.augmentations == (
        Reversal(),
        TimeMask(p=0.25, fraction=0.5, fill="mean", strength=0.8),
        Fade(),
    )
    assert [one.strength for one in found.effective()] == [0.5, 0.4, 0.5]
    sampling = found.effective_sampling()
    assert sampling.jitter == 0.2
    assert sampling.speed == pytest.approx((0.5**0.5, 2**0.5))
    assert sampling.spacing == "decreasing"


@given(st.floats(0, 1), st.floats(0, 1))
def test_sampling_shrinks_with_strength(one: float, other: float) -> None:
    weak, strong = sorted((one, other))
    wide = Sampling(jitter=0.5, speed=(0.25, 4), timeline="offset", max_offset=1.0)
    less, more = (Composition((), wide, strength).effective_sampling() for strength in (weak, strong))
    assert less.jitter <= more.jitter
    assert less.max_offset <= more.max_offset
    assert more.speed[0] <= less.speed[0] <= 1 <= less.speed[1] <= more.speed[1]
    still = Composition((), wide, 0.0).effective_sampling()
    assert still == Sampling()


def test_one_augmentation_does_not_change_the_numbers_of_the_next() -> None:
    alone = Composition((Fade(p=0.0), TimeMask()))(clips(), SampleRNG(SEEDS))
    other = Composition((Fade(strength=0.0), TimeMask()))(clips(), SampleRNG(SEEDS))
    assert torch.equal(alone.waveform, other.waveform)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"augmentation": []}, "augment: there is no setting 'augmentation'; did you mean 'augmentations'?"),
        ({"augmentations": ["time_musk"]}, "[0]: there is no augmentation 'time_musk'; did you mean 'time_mask'?"),
        ({"augmentations": [{"fade": {"fracton": 1}}]}, "there is no setting 'fracton'; did you mean 'fraction'"),
        ({"augmentations": [{"fade": {"p": "often"}}]}, "fade: p must be a number from 0 to 1, not 'often'"),
        ({"augmentations": [{"fade": {"p": True}}]}, "fade: p must be a number from 0 to 1, not True"),
        ({"augmentations": [{"fade": {"p": 2}}]}, "fade: p must be a number from 0 to 1, not 2"),
        (
            {"augmentations": [{"time_mask": {"fill": "pink"}}]},
            "fill must be one of zeros, mean, noise, not",
        ),
        ({"augmentations": [{"fade": 0.5}]}, "fade: must be settings (name: value), not 0.5"),
        ({"augmentations": [{"fade": {}, "flip": {}}]}, "must be one name, or name: settings"),
        ({"augmentations": {"fade": {}}}, "augmentations: must be a list"),
        ({"sampling": {"jiter": 0.1}}, "sampling: there is no setting 'jiter'; did you mean 'jitter'?"),
        ({"sampling": {"jitter": 0.9}}, "sampling: jitter must be a number from 0 to 0.5"),
        ({"strength": "strong"}, "strength must be a number from 0 to 1, not 'strong'"),
        ({"strength": 1.5}, "strength must be a number from 0 to 1, not 1.5"),
        (["fade"], "augment: must be settings"),
        ({"augmentations": [{"flip": False}]}, "flip: must be settings (name: value), not False"),
        ({"augmentations": [{"flip": 0}]}, "flip: must be settings (name: value), not 0"),
        ({"augmentations": False}, "augmentations: must be a list, not False"),
        ({"sampling": 0}, "sampling: must be settings"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(values: object, sentence: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        composition(values)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_compositions(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"no composition 'referenc'; did you mean 'reference'\?"):
        load_composition("referenc")
    with pytest.raises(ArgumentError, match=r"missing.yaml: cannot be read \(No such file"):
        read_yaml(tmp_path / "missing.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1,\nb: }")
    with pytest.raises(ArgumentError, match=r"broken.yaml, line 2: not YAML"):
        load_composition(str(tmp_path / "broken.yaml"))
    (tmp_path / "twice.yaml").write_text("augmentations:\n  - fade: {p: 0.1, p: 0.9}\n")
    with pytest.raises(ArgumentError, match=r"twice.yaml, line 2: not YAML \('p' occurs twice\)"):
        load_composition(str(tmp_path / "twice.yaml"))
    (tmp_path / "circle.yaml").write_text("augmentations:\n  - fade: {p: &p [*p]}\n")
    with pytest.raises(ArgumentError, match=r"circle.yaml: not YAML \(it .* holds itself\)"):
        load_composition(str(tmp_path / "circle.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArgumentError, match=r"binary.yaml: cannot be read \(it is not UTF-8 text\)"):
        load_composition(str(tmp_path / "binary.yaml"))


def test_settings_that_are_missing_or_no_json_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"encoders: video is missing"):
        build(PairSpec, {"audio": "tiny_mel"}, "encoders")
    with pytest.raises(ArgumentError, match=r"s\.jitter: no value that a setting can have"):
        build(Sampling, {"jitter": {1, 2}}, "s")


@pytest.mark.parametrize("shape", [(16,), (2, 1, 16)])
def test_a_waveform_has_two_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match=r"waveform must be \(batch, samples\), not"):
        Clips(None, torch.zeros(shape))
