"""The GPU path without a GPU: every network runs forward on ``cuda`` under ``FakeTensorMode``, in bf16.

Backward needs a real device: the autograd engine asks for one. ``docs/gpu-validation.md`` has the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from avfeat.training.networks import PAIRS, build_pair
from avfeat.training.networks.registry import AUDIO_NETWORKS, VIDEO_NETWORKS, log_mel_of

BATCH = 2
SYNCHRONISE = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal")


class Seen(TorchDispatchMode):
    """Notes what a forward computes: dtypes of products, and calls that wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.products: set[torch.dtype] = set()
        self.waits: list[str] = []
        self.elsewhere: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        name = function._schema.name.removeprefix("aten::")
        if name in ("mm", "addmm", "bmm", "convolution") and isinstance(out, torch.Tensor):
            self.products.add(out.dtype)
        if name in SYNCHRONISE:
            self.waits.append(name)
        if isinstance(out, torch.Tensor) and out.device.type != "cuda" and out.ndim:
            self.elsewhere.append(name)
        return out


@contextmanager
def bf16() -> Iterator[None]:
    """Autocast on ``cuda``; its context manager would switch itself off where there is none."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])
        torch.clear_autocast_cache()


def faked(module: torch.nn.Module) -> None:
    """Moves the constants of a module, which are checked when they are made, as ``.to("cuda")`` does."""
    for owner in module.modules():
        for name, value in owner.named_buffers(recurse=False):
            owner._buffers[name] = torch.empty(value.shape, dtype=value.dtype)


def specs() -> dict[str, Any]:
    mini = PAIRS["mini"]
    found = {
        f"video {name}": replace(mini, video=name) for name in VIDEO_NETWORKS if name not in ("s3d", "lite0_motion")
    }
    found |= {f"audio {name}": replace(mini, audio=name) for name in AUDIO_NETWORKS if name != "mel_resnet16"}
    return {**found, **PAIRS}


@pytest.mark.parametrize("name", specs())
def test_every_network_runs_forward_on_cuda_in_bf16(name: str) -> None:
    spec = specs()[name]
    log_mel = log_mel_of(spec)
    with FakeTensorMode(), torch.device("cuda"):
        faked(log_mel)
        pair = build_pair(spec, published=False).train()
        frames = torch.zeros(BATCH, spec.frames, 3, spec.size, spec.size)
        waveform = torch.zeros(BATCH, round(spec.seconds * spec.sample_rate))
        with Seen() as seen, bf16():
            outs = [*pair.video(frames), *pair.audio(log_mel(waveform))]
    assert {out.device.type for out in outs} == {"cuda"} and {len(out) for out in outs} == {BATCH}
    assert torch.bfloat16 in seen.products
    assert seen.waits == [] and seen.elsewhere == []
