from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sides import noise

from avfeat.training.objectives import alignment, embedding_std, uniformity


def unit(rows: np.ndarray) -> list[np.ndarray]:
    return [row / math.sqrt(sum(row**2)) for row in rows]


def test_std_is_that_of_normalised_rows() -> None:
    z = noise(9, 4)
    rows = unit(z.numpy())
    each = []
    for dim in range(4):
        values = [row[dim] for row in rows]
        mean = sum(values) / 9
        each.append(math.sqrt(sum((value - mean) ** 2 for value in values) / 8))
    assert embedding_std(z).item() == pytest.approx(sum(each) / 4, rel=1e-5)
    assert embedding_std(z * 100).item() == pytest.approx(sum(each) / 4, rel=1e-5)


def test_std_tells_collapse_from_health() -> None:
    for dim in (16, 256):
        assert embedding_std(noise(2000, dim)).item() == pytest.approx(1 / math.sqrt(dim), rel=0.02)
    assert embedding_std(torch.ones(50, 16) * torch.rand(50, 1)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_alignment_is_the_papers(power: float) -> None:
    x, y = noise(7, 5), noise(7, 5, seed=1)
    pairs = zip(unit(x.numpy()), unit(y.numpy()), strict=True)
    expected = sum(math.sqrt(sum((a - b) ** 2)) ** power for a, b in pairs) / 7
    assert alignment(x, y, power).item() == pytest.approx(expected, rel=1e-5)
    assert alignment(x, 3 * x).item() == pytest.approx(0, abs=1e-6)
    assert alignment(x, -x).item() == pytest.approx(4, rel=1e-5)


@pytest.mark.parametrize("sharpness", [1, 2, 5])
def test_uniformity_is_the_papers(sharpness: float) -> None:
    z = noise(7, 5)
    rows = unit(z.numpy())
    potentials = [math.exp(-sharpness * sum((rows[i] - rows[j]) ** 2)) for i in range(7) for j in range(i)]
    expected = math.log(sum(potentials) / len(potentials))
    assert uniformity(z, sharpness).item() == pytest.approx(expected, rel=1e-5)
    assert uniformity(torch.ones(4, 3), sharpness).item() == pytest.approx(0, abs=1e-6)


def test_half_precision_is_measured_in_full() -> None:
    z = noise(40, 8).bfloat16().requires_grad_()
    for found, full in ((embedding_std(z), embedding_std(z.float())), (uniformity(z), uniformity(z.float()))):
        assert found.dtype == torch.float32 and not found.requires_grad
        assert torch.equal(found, full)
