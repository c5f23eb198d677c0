from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torchaudio.functional import resample

from avfeat.errors import ArgumentError
from avfeat.training.backbones import mn04_sounds
from avfeat.training.backbones.backbone import AudioBackbone, Origin
from avfeat.training.backbones.mn04 import Mn04
from avfeat.training.networks import PairSpec
from avfeat.training.networks.published import WeightsError
from avfeat.training.teachers.audio import AudioTeacher
from avfeat.training.teachers.lesson import Lesson
from avfeat.training.teachers.registry import open_teacher

STUDENT = PairSpec("tiny_shift", "tiny_mel", seconds=1.0, sample_rate=16_000)


@pytest.fixture
def network() -> Mn04:
    torch.manual_seed(0)
    return Mn04().eval()


def test_it_hears_the_waveform_at_its_own_rate(network: Mn04, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "mn04.pt")
    teacher: Any = open_teacher("audio", f"mn04_as:{tmp_path / 'mn04.pt'}", STUDENT, 1)
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
        open_teacher("audio", "mn04_as", STUDENT, 1)
    said = str(caught.value)
    assert said.startswith("https://github.com/fschmid56/EfficientAT/") and "cannot be fetched (no route" in said
    assert said.endswith(f"put the file into {folder}, or name it: mn04_as:PATH.")

    def fetched(url: str, path: str, progress: bool) -> None:
        torch.save(network.state_dict(), path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetched)
    one = open_teacher("audio", "mn04_as", STUDENT, 1)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)
    assert (
        open_teacher("audio", "mn04_as", STUDENT, 1).facts == one.facts and (folder / mn04_sounds._FILE).is_file()
    )


def test_windows_that_are_too_short_are_refused(network: Mn04, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "mn04.pt")
    with pytest.raises(ArgumentError, match=r"hears windows of 1 s or longer, not 0\.5; set encoders\.seconds=1"):
        short = PairSpec("tiny_shift", "tiny_mel", seconds=0.5)
        open_teacher("audio", f"mn04_as:{tmp_path / 'mn04.pt'}", short, 1)


def test_longer_windows_than_a_network_hears(network: Mn04) -> None:
    # As CLAP, which cuts them at random.
    heard = AudioBackbone(network, 32_000, lambda waveform: (), Origin("clap", "MIT"), longest=1.0)
    assert AudioTeacher(heard, STUDENT).lesson.dim == 384
    with pytest.raises(ArgumentError, match=r"hears 1 s of sound at most, not 1\.5; set encoders\.seconds=1\."):
        AudioTeacher(heard, replace(STUDENT, seconds=1.5))


def test_a_network_of_transformers_hears_it_too(tmp_path: Path) -> None:
    hf = pytest.importorskip("transformers")
    torch.manual_seed(0)
    body = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = hf.Wav2Vec2Model(hf.Wav2Vec2Config(**body, conv_dim=(16,) * 7, num_conv_pos_embedding_groups=2)).eval()
    model.save_pretrained(tmp_path)
    hf.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    teacher: Any = open_teacher("audio", f"transformers:{tmp_path}", STUDENT, 1)
    assert teacher.lesson == Lesson(32)
    waveform = 0.1 * torch.randn(2, round(STUDENT.seconds * STUDENT.sample_rate))
    with torch.inference_mode():
        found, expected = teacher(waveform), model(waveform).last_hidden_state.mean(1)
    assert found.scores is None
    torch.testing.assert_close(found.features, expected, rtol=1e-4, atol=1e-5)
