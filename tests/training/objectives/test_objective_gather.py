from __future__ import annotations

from typing import Any

import pytest
import torch
from sides import NAMES
from torch.multiprocessing.spawn import spawn
from two_processes import BATCH, MASKS, outcome, work

from avfeat.training.objectives.gather import GatheredRows, gather


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("gather")
    spawn(work, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_rows_come_by_rank_and_their_gradients_go_back(halves: list[dict[str, Any]]) -> None:
    expected = torch.cat([torch.arange(4.0).view(2, 2), torch.arange(4.0).view(2, 2) + 10])
    for rank, half in enumerate(halves):
        whole, gradient = half["gathered"]
        assert torch.equal(whole, expected)
        # From rank 0 once the row's number, from rank 1 twice.
        rows = torch.tensor([2 * rank, 2 * rank + 1])
        assert torch.equal(gradient, 3.0 * rows[:, None].expand(2, 2))


@pytest.mark.parametrize("kind", sorted(MASKS))
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_are_one_with_the_whole_batch(name: str, kind: str, halves: list[dict[str, Any]]) -> None:
    whole = outcome(name, slice(0, BATCH), MASKS[kind])
    first, second = (half[f"{name} {kind}"] for half in halves)
    torch.testing.assert_close((first["total"] + second["total"]) / 2, whole["total"])
    assert first["counts"] == second["counts"] == whole["counts"]
    for term, loss in whole["terms"].items():
        torch.testing.assert_close((first["terms"][term] + second["terms"][term]) / 2, loss)
    for parameter, gradient in whole["parameters"].items():
        assert gradient.any()
        mean = (first["parameters"][parameter] + second["parameters"][parameter]) / 2
        torch.testing.assert_close(mean, gradient)
    for modality, views in whole["features"].items():
        for view, gradient in enumerate(views):
            parts = torch.cat([half["features"][modality][view] for half in (first, second)])
            torch.testing.assert_close(parts / 2, gradient)


def test_alone_nothing_is_communicated() -> None:
    local = torch.randn(3, 2, requires_grad=True)
    assert gather(local) is local
    rows = GatheredRows.from_mask(torch.tensor([True, False, True]))
    assert rows.offset == 0 and rows.total == 2 and torch.equal(rows.here, rows.everywhere)
    assert rows.mean(torch.tensor([1.0, torch.nan, 4.0])) == 2.5
    centred = rows.centre(torch.tensor([[1.0, 0.0], [9.0, 9.0], [3.0, -4.0]]))
    assert centred.tolist() == [[-1, 2], [0, 0], [1, -2]]
