from __future__ import annotations

from pathlib import Path

import pytest

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.networks import PairSpec
from avfeat.training.teachers.registry import open_teacher, published_modality

STUDENT = PairSpec("tiny_shift", "tiny_mel")


@pytest.mark.parametrize(
    ("source", "modality"),
    [
        ("efficientnet_lite0", "video"),
        ("timm:resnet18", "video"),
        ("torchvision:resnet18", "video"),
        ("mn04_as", "audio"),
        ("mn04_as:C:/weights/mn04.pt", "audio"),
        ("efficientnet_lite0:mine", None),
        ("timm", None),
        ("timm:", None),
        ("runs/large", None),
    ],
)
def test_published_networks_are_known_by_their_names(source: str, modality: Modality | None) -> None:
    assert published_modality(source) == modality


@pytest.mark.parametrize(
    ("modality", "source", "says"),
    [
        (
            "video",
            "efficentnet_lite0",
            "there is no such run, and no such network that teaches video; did you mean",
        ),
        ("audio", "runs/none", "there is no such run, and no such network that teaches audio; there are: mn04_as"),
        ("video", "mn04_as", "teaches audio, not video; there are: efficientnet_lite0, timm:NAME"),
        ("audio", "timm:resnet18", "teaches video, not audio; there are: mn04_as"),
    ],
)
def test_others_are_refused_in_a_sentence(
    modality: Modality, source: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError) as caught:
        open_teacher(modality, source, STUDENT, 2)
    assert str(caught.value).startswith(says)
