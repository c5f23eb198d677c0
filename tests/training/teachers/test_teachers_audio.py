from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torchaudio.functional import resample

from avfeat.errors import ArgumentError
from avfeat.training.networks import PairSpec
from avfeat.training.networks.published import WeightsError
from avfeat.training.teachers import audio
from avfeat.training.teachers.audio import mn04_as
from avfeat.training.teachers.lesson import Lesson
from avfeat.training.teachers.mn04 import Mn04

STUDENT = PairSpec("tiny_shift", "tiny_mel", seconds=1.0, sample_rate=16_000)


@pytest.fixture
def network() -> Mn04:
    torch.manual_seed(0)
    return Mn04().eval()


def test_it_hears_the_waveform_at_its_own_rate(network: Mn04, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "mn04.pt")
    teacher = mn04_as(str(tmp_path / "mn04.pt"), STUDENT)
    assert teacher.lesson == Lesson(384, 527, several=True)
    assert teacher.facts["source"] == "mn04_as" and teacher.facts["licence"] == "MIT (EfficientAT)"
    waveform = 0.1 * torch.randn(2, 16_000)
    with torch.inference_mode():
        features, scores = network(resample(waveform, 16_000, 32_000))
        found = teacher(waveform)
        # What is between it and a student in half precision computes as ever.
        with torch.autocast("cpu", torch.bfloat16):
            again = teacher(waveform)
    torch.testing.assert_close(found.features, features)
    torch.testing.assert_close(found.scores, scores.sigmoid())
    assert torch.equal(again.features, found.features)


def test_the_file_may_lie_where_torch_keeps_downloads(
    network: Mn04, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"

    def refused(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)
    with pytest.raises(WeightsError) as caught:
        mn04_as("", STUDENT)
    said = str(caught.value)
    assert said.startswith("https://github.com/fschmid56/EfficientAT/") and "cannot be fetched (no route" in said
    assert said.endswith(f"put the file into {folder}, or name it: mn04_as:PATH.")

    def fetched(url: str, path: str, progress: bool) -> None:
        torch.save(network.state_dict(), path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetched)
    one = mn04_as("", STUDENT)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)
    assert mn04_as("", STUDENT).facts == one.facts and (folder / audio._FILE).is_file()


def test_windows_that_are_too_short_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"hears windows of 1 s or longer, not 0\.5; set encoders\.seconds=1"):
        mn04_as("any.pt", PairSpec("tiny_shift", "tiny_mel", seconds=0.5))
