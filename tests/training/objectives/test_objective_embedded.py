from __future__ import annotations

import pytest
import torch
from torch import nn

from avfeat.training.objectives.embedded import statistics_kept


def test_momenta_come_back_after_an_error() -> None:
    norm = nn.BatchNorm1d(2, momentum=0.3)
    with pytest.raises(ValueError, match="on purpose"), statistics_kept(norm, True):
        norm(torch.randn(4, 2))
        raise ValueError("on purpose")
    assert norm.momentum == 0.3 and torch.equal(norm.running_mean, torch.zeros(2))  # type: ignore[arg-type]
    with statistics_kept(norm, False):
        norm(torch.randn(4, 2))
    assert norm.running_mean is not None and norm.running_mean.all()
