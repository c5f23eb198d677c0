"""Signs that a training goes wrong: numbers that are none, and embeddings that are all alike."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from avfeat.bundle import Modality
from avfeat.errors import AvfeatError
from avfeat.training.objectives import alignment, embedding_std, uniformity
from avfeat.training.trainer.model import StepOutput

COLLAPSED = 0.1
"""Spread below which embeddings count as collapsed; random ones have 1."""


class DivergedError(AvfeatError):
    """A loss or a gradient is NaN or infinite."""


class Finite:
    """Looks at loss and gradient one step late, so that a GPU need not be waited for."""

    def __init__(self) -> None:
        self._pending: tuple[int, Tensor, torch.cuda.Event | None] | None = None

    def watch(self, step: int, *values: Tensor) -> None:
        """Remember the numbers of ``step``, after a look at those of the step before.

        Raises:
            DivergedError: those were not finite.
        """
        self.check()
        here = torch.stack([value.detach().float() for value in values])
        # To read it later from the GPU itself would wait for all that is queued by then, too.
        copied = here.to("cpu", non_blocking=True)
        arrived = torch.cuda.Event() if here.device.type == "cuda" else None  # type: ignore[no-untyped-call]
        if arrived is not None:
            arrived.record()
        self._pending = step, copied, arrived

    def check(self) -> None:
        """Look at what was remembered last, before anything is made of it.

        Raises:
            DivergedError: it is not finite.
        """
        if self._pending is None:
            return
        (step, values, arrived), self._pending = self._pending, None
        if arrived is not None:
            arrived.synchronize()
        if not bool(torch.isfinite(values).all()):
            raise DivergedError(
                f"step {step}: the loss ({values[0]:g}) or its gradient ({values[1]:g}) is NaN or infinite; the "
                "last checkpoint is from before. Take a lower optimizer.lr, a longer optimizer.warmup, or "
                "optimizer.max_grad_norm."
            )


def signs(outcome: StepOutput, present: Mapping[Modality, Tensor]) -> dict[str, float]:
    """How alive the embeddings of a batch are, by modality.

    ``*_std``: standard deviation of unit-length projections times the root of their width: 1 is healthy, 0
    collapsed (SimSiam, arXiv 2011.10566, figure 2); ``*_alignment`` of the first two views and ``*_uniformity``
    (Wang and Isola, arXiv 2005.10242). ``shared_alignment`` is that of video and audio in the shared space.
    """
    found: dict[str, float] = {}
    for name, views in outcome.projections.items():
        sides = [view[present[name]] for view in views]
        if len(sides[0]) < 2:
            continue
        found[f"{name}_std"] = float(embedding_std(sides[0])) * math.sqrt(sides[0].shape[1])
        found[f"{name}_uniformity"] = float(uniformity(sides[0]))
        if len(sides) > 1:
            found[f"{name}_alignment"] = float(alignment(sides[0], sides[1]))
    if outcome.embeddings:
        both = (present["video"] & present["audio"]).repeat_interleave(
            len(outcome.embeddings["video"]) // len(present["video"])
        )
        if bool(both.any()):
            video, audio = (outcome.embeddings[name][both] for name in ("video", "audio"))
            found["shared_alignment"] = float(alignment(video, audio))
    return found


def collapse(metrics: Mapping[str, float], known: set[str]) -> str | None:
    """A sentence on modalities that have collapsed and are not ``known`` to have; they become known."""
    fresh = [
        name.removesuffix("_std")
        for name, value in metrics.items()
        if name.endswith("_std") and value < COLLAPSED and name not in known
    ]
    known.update(f"{name}_std" for name in fresh)
    if not fresh:
        return None
    return (
        f"step {metrics['step']:g}: the {' and '.join(fresh)} embeddings have COLLAPSED: all clips get nearly the "
        f"same vector (std {min(metrics[f'{name}_std'] for name in fresh):.3f}, healthy is 1). Nothing is learned; "
        "take a lower optimizer.lr, another objective, or stronger augmentations."
    )
