"""Optimizers, and the learning rate as a function of the step alone: a training that goes on needs nothing more."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from avfeat.training.recipes import OptimizerSettings
from avfeat.training.trainer.model import Pretraining


def rate_at(step: int, steps: int, settings: OptimizerSettings, batch_size: int) -> float:
    """The learning rate of a step: linear warm-up, then half a cosine down to ``min_lr_ratio`` of the peak.

    Args:
        step: from 0 on.
        steps: of the whole training.
        settings: peak, warm-up and end.
        batch_size: clips of a step, for the scaling of the peak.
    """
    peak, rising = settings.peak(batch_size), round(settings.warmup * steps)
    if step < rising:
        return peak * (step + 1) / rising
    progress = (step - rising) / max(1, steps - rising)
    return peak * (settings.min_lr_ratio + (1 - settings.min_lr_ratio) * (1 + math.cos(math.pi * progress)) / 2)


def build_optimizer(model: Pretraining, settings: OptimizerSettings, batch_size: int) -> Optimizer:
    """The optimizer of all that is trained.

    Biases and norms have no weight decay, nor LARS' adaptation (BYOL, arXiv 2006.07733, appendix J). Predictors
    whose rate is published as constant are groups of their own with ``fixed`` set.
    """
    groups = _groups(model, settings)
    peak = settings.peak(batch_size)
    match settings.name:
        case "adamw":
            return AdamW(groups, lr=peak, betas=(settings.momentum, 0.999))
        case "sgd":
            return SGD(groups, lr=peak, momentum=settings.momentum)
        case "lars":
            # Imported here: timm brings all its models along.
            from timm.optim.lars import Lars

            for group in groups:
                # Else it would leave out weights, too, where they have no decay.
                group["always_adapt"] = group["decays"]
            lars: Optimizer = Lars(
                groups, lr=peak, momentum=settings.momentum, trust_coeff=settings.trust_coefficient
            )
            return lars


def set_rate(optimizer: Optimizer, rate: float, peak: float) -> None:
    """Give all groups the rate of the step; ``fixed`` ones keep the peak."""
    for group in optimizer.param_groups:
        group["lr"] = peak if group["fixed"] else rate


def _groups(model: Pretraining, settings: OptimizerSettings) -> list[dict[str, Any]]:
    fixed = {id(one) for one in model.objective.predictors.parameters() if model.objective.fixed_predictor_rate}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault((parameter.ndim > 1, id(parameter) in fixed), []).append(parameter)
    return [
        {
            "params": members,
            "weight_decay": settings.weight_decay if decays else 0.0,
            "decays": decays,
            "fixed": constant,
        }
        for (decays, constant), members in groups.items()
    ]
