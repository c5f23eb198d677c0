from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import trainer
from torch.multiprocessing.spawn import spawn
from two_ranks import BATCH, RECIPES, gradients, recipe, shared_space, work, write_teacher

from avfeat.errors import BackendError
from avfeat.training.data import Cache
from avfeat.training.trainer.process import join_processes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    write_teacher(folder)
    return folder


@pytest.fixture(scope="module")
def halves(cache: Cache, folder: Path) -> list[dict[str, Any]]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    spawn(work, (str(folder), str(cache.path), port), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_are_one_with_the_whole_batch(
    cache: Cache, folder: Path, halves: list[dict[str, Any]], name: str
) -> None:
    whole = gradients(trainer(cache, recipe(name, folder)), 0, BATCH)
    first, second = (half[name] for half in halves)
    torch.testing.assert_close((first["total"] + second["total"]) / 2, whole["total"])
    if whole["shared"] is not None:
        torch.testing.assert_close((first["shared"] + second["shared"]) / 2, whole["shared"])
    assert whole["gradients"].keys() == first["gradients"].keys()
    for parameter, gradient in whole["gradients"].items():
        # Whatever is trained has a gradient: DistributedDataParallel waits for none that never comes.
        assert gradient is not None, parameter
        for half in (first, second):
            torch.testing.assert_close(half["gradients"][parameter], gradient, rtol=1e-4, atol=1e-5, msg=parameter)


@pytest.mark.parametrize("name", RECIPES)
def test_both_processes_end_with_the_same_weights(halves: list[dict[str, Any]], name: str) -> None:
    first, second = (half[name] for half in halves)
    # Running statistics are each process' own on a CPU; those of the first one are kept.
    own = ("running_mean", "running_var")
    different = [key for key, one in first["weights"].items() if not torch.equal(one, second["weights"][key])]
    assert all(key.endswith(own) for key in different)
    assert first["metrics"] == second["metrics"]


@pytest.mark.parametrize("name", RECIPES)
def test_no_clip_is_in_both_processes_at_once(halves: list[dict[str, Any]], name: str) -> None:
    passes = RECIPES[name].get("grad_accumulation_steps", 1)
    for one, other in zip(*(half[name]["items"] for half in halves), strict=True):
        assert len(one) == len(other) == BATCH // 2 // passes
        assert len({*one, *other}) == BATCH // passes


def test_the_shared_space_is_that_of_the_whole_batch(halves: list[dict[str, Any]]) -> None:
    whole = shared_space(0, BATCH)
    first, second = (half["shared space"] for half in halves)
    torch.testing.assert_close((first["loss"] + second["loss"]) / 2, whole["loss"])
    for side in ("video", "audio"):
        torch.testing.assert_close(torch.cat([first[side], second[side]]) / 2, whole[side])


def test_what_processes_ask_each_other(halves: list[dict[str, Any]]) -> None:
    assert [half["any"] for half in halves] == [[True, False, 1.5]] * 2
    for half in halves:
        assert half["refused"].startswith("batch_size 9 cannot be shared by 2 processes with 1 passes each")


def test_alone_nothing_is_wrapped_or_asked() -> None:
    with join_processes("cpu") as process:
        model = torch.nn.Linear(2, 2)
        assert process.leads and process.wrapped(model) is model
        assert [process.any(True), process.any(False)] == [True, False]
        assert process.mean(torch.tensor(3.0)) == 3 and not torch.distributed.is_initialized()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BackendError, match="CUDA was asked for, but torch cannot use it"), join_processes("cuda"):
        pass
    with join_processes("auto") as process:
        assert process.device.type == "cpu"
