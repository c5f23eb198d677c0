"""What exporters trace with: which inputs, and which of their dimensions are free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._sympy.value_ranges import ValueRanges

from avfeat.bundle import MAX_SIZE, MIN_SIZE


@dataclass(frozen=True, eq=False)
class Example:
    """An input by name, with its dynamic dimensions.

    Every dynamic dimension has its own size in the example, and none is 1: exporters would fix it.
    """

    name: str
    value: Tensor
    dynamic: dict[int, Any]


def video_example(count: int) -> Example:
    """``count`` frames: batch, height (16 to 4,320) and width (16 to 4,320) are free."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, count, 48, 80, 3), dtype=torch.uint8, generator=generator)
    size = {"min": MIN_SIZE, "max": MAX_SIZE}
    return Example("frames", frames, {0: Dim("batch", min=1), 2: Dim("height", **size), 3: Dim("width", **size)})


def audio_example(rate: int) -> Example:
    """A waveform of ``rate`` samples a second: batch and samples (0.1 s or more) are free."""
    generator = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(2, rate + 123, generator=generator)
    return Example("waveform", waveform, {0: Dim("batch", min=1), 1: Dim("samples", min=rate // 10)})


def export_program(network: nn.Module, example: Example) -> ExportedProgram:
    """``network`` as a program of ``torch.export``, which is what a ``.pt2`` file holds.

    Tracing notes down what happened to be true of the example, such as that no dimension inside was 1, as it is
    after 0.1 s of audio. Nothing that is computed depends on it: those notes are dropped, the bounds of the inputs
    are the example's, and the parity gate tries many sizes and lengths.
    """
    free = dict.fromkeys(example.dynamic, Dim.DYNAMIC)
    with torch.no_grad():
        program = torch.export.export(
            network.eval(),
            (example.value,),
            dynamic_shapes=(free,),
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    graph = program.graph_module.graph
    for node in [node for node in graph.nodes if node.target is torch.ops.aten._assert_scalar.default]:
        graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    (taken,) = (node.meta["val"] for node in graph.nodes if node.name in program.graph_signature.user_inputs)
    for axis, dim in example.dynamic.items():
        program.range_constraints[taken.shape[axis].node.expr] = ValueRanges(dim.min, dim.max)
    return program
