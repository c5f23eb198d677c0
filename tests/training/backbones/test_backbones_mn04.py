from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from avfeat.training.backbones.mn04 import CLASSES, FEATURES, ConvolvedKaldiMel, KaldiMel, Mn04, load_mn04
from avfeat.training.networks.published import WeightsError

SHARED = Path(__file__).parents[4] / "shared" / "weights"


def test_it_gives_the_reference_outputs() -> None:
    weights, reference = SHARED / "mn04_as_mAP_432.pt", SHARED / "mn04_reference.npz"
    if not (weights.is_file() and reference.is_file()):
        pytest.skip("the published weights and their reference outputs are not here")
    network = load_mn04(weights)
    with np.load(reference) as expected, torch.inference_mode():
        waveform = torch.from_numpy(expected["waveform"])
        features, scores = network(waveform)
        found = {"mel": network.mel(waveform).squeeze(1), "features": features, "logits": scores}
        for name, value in found.items():
            wanted = torch.from_numpy(expected[name])
            torch.testing.assert_close(
                value, wanted, rtol=0, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
            )


@pytest.mark.parametrize("samples", [3200, 32_000, 40_001])
def test_the_spectrogram_of_the_file_is_that_of_torch(samples: int) -> None:
    torch.manual_seed(0)
    waveform = 0.1 * torch.randn(2, samples)
    found, expected = ConvolvedKaldiMel()(waveform), KaldiMel()(waveform)
    assert found.shape == expected.shape == (2, 1, 128, (samples - 1) // 320 + 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_weights_travel_by_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Mn04().eval()
    torch.save(network.state_dict(), tmp_path / "mn04.pt")
    again = load_mn04(tmp_path / "mn04.pt")
    assert not again.training and not any(one.requires_grad for one in again.parameters())
    waveform = 0.1 * torch.randn(2, 32_000)
    with torch.inference_mode():
        features, scores = again(waveform)
        torch.testing.assert_close((features, scores), network(waveform))
    assert features.shape == (2, FEATURES) and scores.shape == (2, CLASSES)


def test_files_of_something_else_are_refused_in_a_sentence(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("no weights")
    for name, says in (
        ("none.pt", "no such file; take mn04_as_mAP_432.pt of EfficientAT's releases."),
        ("other.pt", "does not hold the weights of mn04_as;"),
        ("list.pt", "does not hold the weights of mn04_as;"),
        ("text.pt", "does not hold the weights of mn04_as;"),
    ):
        with pytest.raises(WeightsError) as caught:
            load_mn04(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {says}") and "\n" not in str(caught.value)
