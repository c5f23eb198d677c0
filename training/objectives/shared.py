"""The space that video and audio share: what trains the encoders' projections, which the export keeps.

The symmetric form of InfoNCE: Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", ICML 2021, arXiv 2103.00020, figure 3, with audio in place of text.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from avfeat.training.objectives.gather import GatheredRows, gather
from avfeat.training.schema import Positive, Weight, settings

Reach = Literal["projection", "encoder"]


@settings
class SharedSettings:
    """How the shared space is trained, beside the objective.

    Attributes:
        weight: of this loss; 0 leaves the projections as they are.
        temperature: of the softmax over similarities.
        reach: what it trains: the ``projection`` alone, so that the objective alone shapes the features, or the
            whole ``encoder``.

    Raises:
        ArgumentError: settings out of range.
    """

    weight: Weight = 1.0
    temperature: Positive = 0.1
    reach: Reach = "projection"


def info_nce(video: Tensor, audio: Tensor, rows: GatheredRows, temperature: float) -> Tensor:
    """Each clip's own audio among all audio, and its own video among all video: the mean of both.

    Args:
        video: ``(batch, dim)``, of unit length.
        audio: the same samples.
        rows: those that have both; others are neither asked nor answers.
        temperature: of the softmax.

    Returns:
        This process' share, see ``gather``.
    """
    video, audio = (torch.where(rows.here[:, None], side.float(), 0) for side in (video, audio))
    sides = gather(torch.cat([video, audio], dim=1)).chunk(2, dim=1)
    own = torch.arange(len(video), device=video.device) + rows.offset
    each = video.new_zeros(len(video))
    for asked, answers in ((video, sides[1]), (audio, sides[0])):
        logits = asked @ answers.T / temperature
        # The lowest number, not -inf: a row of nothing else would have no softmax, and its gradient would be NaN.
        logits = logits.masked_fill(~rows.everywhere, torch.finfo(logits.dtype).min)
        each = each + F.cross_entropy(logits, own, reduction="none") / 2
    return rows.mean(each)
