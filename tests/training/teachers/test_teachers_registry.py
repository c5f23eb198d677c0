from __future__ import annotations

from pathlib import Path

import pytest

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.networks import PairSpec
from avfeat.training.teachers.registry import is_network, open_teacher

STUDENT = PairSpec("tiny_shift", "tiny_mel")


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ("efficientnet_lite0", True),
        ("timm:resnet18", True),
        ("torchvision:resnet18", True),
        ("transformers:facebook/dinov2-small", True),
        ("own.py:frames", True),
        ("mn04_as", True),
        ("mn04_as:C:/weights/mn04.pt", True),
        ("efficientnet_lite0:mine", False),
        ("timm", False),
        ("timm:", False),
        ("mn04_as:", False),
        ("runs/large", False),
    ],
)
def test_networks_are_known_by_their_names(source: str, known: bool) -> None:
    assert is_network(source) == known


def test_a_run_that_is_there_is_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mn04_as").mkdir()
    assert not is_network("mn04_as")


@pytest.mark.parametrize(
    ("modality", "source", "says"),
    [
        ("video", "efficentnet_lite0", "there is no such run, and no such network; give a run, or timm:NAME, "),
        ("audio", "runs/none", "there is no such run, and no such network; give a run, or "),
        ("video", "mn04_as", "mn04_as: is a network of sound, not of frames."),
        ("audio", "timm:resnet18", "timm:resnet18: timm has no audio networks; take transformers:..., mn04_as"),
        ("audio", "efficientnet_lite0", "efficientnet_lite0: is a network of frames, not of sound."),
        ("video", "timm:resnet_of_mine", "timm:resnet_of_mine: timm has no network 'resnet_of_mine'; "),
    ],
)
def test_others_are_refused_in_a_sentence(
    modality: Modality, source: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError) as caught:
        open_teacher(modality, source, STUDENT, 2)
    assert str(caught.value).startswith(says)
