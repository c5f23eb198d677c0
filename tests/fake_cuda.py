"""A GPU that is not there: shapes, dtypes and devices of all that runs on ``cuda``, and what would wait for it.

``FakeTensorMode`` computes no values. What is on the CPU and stays there is computed for real, as the host decides
by it. Backward needs a real device: the autograd engine asks for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from avfeat.training.augment import sample_rng, spatial

M = TypeVar("M", bound=nn.Module)

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution")
ASKS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "equal", "is_nonzero")
"""Operators whose result the host looks at."""
COPIES = ("_to_copy", "copy_")


class Seen(TorchDispatchMode):
    """Notes what is computed.

    Attributes:
        products: dtypes of matrix products and convolutions.
        waits: operators that wait for the GPU: those whose result the host looks at, and copies that block.
        elsewhere: operators that made numbers (no single one, no truth values) on the CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products: set[torch.dtype] = set()
        self.waits: list[str] = []
        self.elsewhere: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        stays = torch.device(kwargs.get("device") or "cpu").type == "cpu"
        if given and stays and not any(isinstance(one, FakeTensor) for one in given):
            with unset_fake_temporarily():
                return function(*args, **kwargs)
        out = function(*args, **kwargs)
        self._note(function._schema.name.removeprefix("aten::"), given, args, kwargs, out)
        return out

    def _note(self, name: str, given: list[Tensor], args: Any, kwargs: Any, out: Any) -> None:
        made = [one for one in tree_leaves(out) if isinstance(one, Tensor)]
        devices = {one.device.type for one in (*given, *made)}
        blocks = not kwargs.get("non_blocking", name == "copy_" and len(args) > 2 and args[2])
        if "cuda" in devices and (name in ASKS or (name in COPIES and len(devices) == 2 and blocks)):
            self.waits.append(name)
        if name in PRODUCTS:
            self.products |= {one.dtype for one in made}
        if name not in COPIES and any(
            one.device.type == "cpu" and one.ndim and one.is_floating_point() for one in made
        ):
            self.elsewhere.append(name)


@contextmanager
def fake_cuda() -> Iterator[None]:
    """What is on ``cuda`` in the block is fake, and autocast works there as on a GPU that has bfloat16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield
    # What these keep would be of a mode that is over.
    sample_rng._bank.cache_clear()
    spatial._yiq.cache_clear()


def bf16() -> Any:
    """Autocast as the trainer has it."""
    return torch.autocast("cuda", torch.bfloat16)


def moved(module: M) -> M:
    """A module after ``.to("cuda")``: what it does not register stays behind.

    Built before, on the CPU or on ``meta``: torch dies of copies (``deepcopy``) of fake tensors.
    """
    for owner in module.modules():
        for name, one in owner.named_parameters(recurse=False):
            fake = torch.empty_like(one, device="cuda")
            owner._parameters[name] = nn.Parameter(fake, requires_grad=one.requires_grad)
        for name, one in owner.named_buffers(recurse=False):
            owner._buffers[name] = torch.empty_like(one, device="cuda")
    return module
