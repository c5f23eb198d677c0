"""The tiny networks learn what they are there for, in a few steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from avfeat.training.networks.log_mel import LogMel
from avfeat.training.networks.parts import mean_and_std
from avfeat.training.networks.tiny_mel import TinyMel
from avfeat.training.networks.tiny_shift import TinyShift

Make = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]


def stripes(count: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Stripes that move left or right: every frame alone looks the same for both."""
    right = torch.randint(0, 2, (count,), generator=g)
    begin = 32 * torch.rand(count, 1, generator=g)
    at = begin + 3 * (2 * right[:, None] - 1) * torch.arange(8)
    wave = 0.5 + 0.5 * torch.sin(torch.pi / 16 * (torch.arange(64) - at[..., None]))
    return wave[:, :, None, None].expand(-1, -1, 3, 64, -1).contiguous(), right


def tones(count: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """A tone of 300 or 3,000 Hz that beats twice or six times a second: four kinds."""
    kind = torch.randint(0, 4, (count,), generator=g)
    time = torch.arange(16_000) / 8000
    phase = 2 * torch.pi * torch.rand(count, 2, generator=g)
    pitch = torch.where(kind % 2 == 1, 3000, 300)[:, None] * 2 * torch.pi * time
    beat = torch.where(kind >= 2, 6, 2)[:, None] * 2 * torch.pi * time
    wave = 0.3 * torch.sin(pitch + phase[:, :1]) * (torch.sin(beat + phase[:, 1:]) > 0)
    return LogMel(8000)(wave + 0.01 * torch.randn(wave.shape, generator=g)), kind


def learnt(network: nn.Module, make: Make, kinds: int, steps: int) -> float:
    """Share of new samples that are told apart after a short training."""
    g = torch.Generator().manual_seed(0)
    model = nn.Sequential(network, nn.Linear(256, kinds))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(steps):
        x, kind = make(16, g)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), kind).backward()
        optimizer.step()
    x, kind = make(64, g)
    with torch.inference_mode():
        return float((model.eval()(x).argmax(1) == kind).float().mean())


def test_tiny_shift_learns_which_way_things_move() -> None:
    torch.manual_seed(0)
    assert learnt(TinyShift(8), stripes, 2, 20) > 0.9


def test_tiny_mel_learns_pitch_and_rhythm() -> None:
    torch.manual_seed(0)
    assert learnt(TinyMel(), tones, 4, 40) > 0.9


def test_tiny_mel_hears_where_a_band_lies() -> None:
    """Away from the borders, only the second input channel tells one row from another."""
    torch.manual_seed(0)
    network = TinyMel().eval()
    low, high = torch.zeros(1, 1, 512, 40), torch.zeros(1, 1, 512, 40)
    low[:, :, 192, 20:], high[:, :, 320, 20:] = 10, 10
    with torch.inference_mode():
        maps = [network.layers(torch.cat([x, torch.zeros_like(x)], 1)).mean(2) for x in (low, high)]
        torch.testing.assert_close(maps[0], maps[1])
        assert (network(low) - network(high)).abs().max() > 1e-4


def test_what_stays_the_same_is_neither_seen_nor_heard() -> None:
    torch.manual_seed(0)
    spectrogram, noise = torch.randn(2, 1, 64, 50), 3 * torch.randn(2, 1, 64, 1)
    frames, scene = torch.rand(2, 4, 3, 32, 32), torch.rand(2, 1, 3, 32, 32)
    ear, eye = TinyMel().eval(), TinyShift(4).eval()
    with torch.inference_mode():
        torch.testing.assert_close(ear(spectrogram + noise), ear(spectrogram))
        torch.testing.assert_close(eye(frames + scene), eye(frames))
        assert (ear(spectrogram.flip(3)) - ear(spectrogram)).abs().max() > 1e-4
        assert (eye(frames.flip(1)) - eye(frames)).abs().max() > 1e-4


def test_mean_and_std_are_torchs_and_have_gradients_where_nothing_changes() -> None:
    x = torch.randn(3, 4, 7, dtype=torch.float64)
    expected = torch.cat([x.mean(2), (x.var(2, correction=0) + 1e-5).sqrt()], dim=1)
    torch.testing.assert_close(mean_and_std(x), expected)
    still = torch.ones(1, 2, 5, requires_grad=True)
    mean_and_std(still).sum().backward()
    assert still.grad is not None and torch.isfinite(still.grad).all()
