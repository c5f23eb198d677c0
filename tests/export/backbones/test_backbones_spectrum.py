"""Spectrograms in the graph against the extractors of transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import ASTFeatureExtractor, WhisperFeatureExtractor

from avfeat.training.backbones.spectrum import KaldiFilterBank, WhisperLogMel, cut_to, length_of

RATE = 16_000


def sound(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * time) + 0.05 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.1, 0.7, 1.28, 2.0])
def test_the_filter_bank_is_kaldis(seconds: float) -> None:
    extractor = ASTFeatureExtractor(max_length=128)
    wanted = extractor(sound(seconds), sampling_rate=RATE, return_tensors="pt")["input_values"]
    front = KaldiFilterBank(extractor.num_mel_bins, extractor.max_length, extractor.mean, extractor.std)
    torch.testing.assert_close(front(torch.from_numpy(sound(seconds))[None]), wanted, rtol=0, atol=2e-4)


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.0, 3.7])
def test_the_log_mel_is_whispers(seconds: float) -> None:
    extractor = WhisperFeatureExtractor(chunk_length=3)
    wanted = extractor(sound(seconds), sampling_rate=RATE, return_tensors="pt")["input_features"]
    front = WhisperLogMel(80, extractor.n_samples, extractor.n_fft, extractor.hop_length, RATE)
    torch.testing.assert_close(front(torch.from_numpy(sound(seconds))[None]), wanted, rtol=0, atol=2e-4)


def test_waveforms_are_padded_and_cut() -> None:
    waveform = torch.arange(1.0, 5.0)[None]
    assert cut_to(waveform, 6).tolist() == [[1, 2, 3, 4, 0, 0]]
    assert cut_to(waveform, 3).tolist() == [[1, 2, 3]]
    assert float(length_of(waveform)) == 4
