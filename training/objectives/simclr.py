"""SimCLR: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.

arXiv 2002.05709, equation 1 and algorithm 1; temperature and widths from solo-learn's preset for small batches.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avfeat.training.objectives.embedded import HeadOutput
from avfeat.training.objectives.gather import GatheredRows, gather
from avfeat.training.objectives.heads import mlp
from avfeat.training.objectives.objective import Objective
from avfeat.training.objectives.settings import HeadSettings, Width
from avfeat.training.schema import Positive, settings


@settings
class SimCLRSettings(HeadSettings):
    """Of SimCLR.

    Attributes:
        temperature: of the softmax over similarities.
    """

    out: Width = 256
    temperature: Positive = 0.2


class SimCLR(Objective[SimCLRSettings]):
    """NT-Xent: a sample's other side among all others' sides.

    The head is SimCLR's: BatchNorm after both layers (its last one has a scale alone; ours, as lightly's, also a
    shift).
    """

    settings_type = SimCLRSettings

    def _projector(self, features: int) -> nn.Module:
        return mlp((features, self.settings.hidden, self.settings.out), last_norm="affine")

    def _loss(self, first: HeadOutput, second: HeadOutput, rows: GatheredRows) -> Tensor:
        return nt_xent(first.projection, second.projection, rows, self.settings.temperature)


def nt_xent(first: Tensor, second: Tensor, rows: GatheredRows, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy in the published 2N form (SimCLR, equation 1).

    Negatives of an anchor are both sides of all other samples of the batch in all processes: for a pair of video
    and audio, a video is told from other videos too, not only from the audio of others.

    Args:
        first: ``(batch, dim)``, of any length.
        second: the same samples.
        rows: those that count.
        temperature: of the softmax.
    """
    one, other = F.normalize(first, dim=1), F.normalize(second, dim=1)
    keys = torch.cat(gather(torch.cat([one, other], dim=1)).chunk(2, dim=1))
    logits = torch.cat([one, other]) @ keys.T / temperature
    size = len(rows.everywhere)
    mine = torch.arange(len(first), device=first.device) + rows.offset
    itself, positive = torch.cat([mine, mine + size]), torch.cat([mine + size, mine])
    # The lowest number, not -inf: a row of nothing else would have no softmax, and its gradient would be NaN.
    lowest = torch.finfo(logits.dtype).min
    logits = logits.masked_fill(~rows.everywhere.repeat(2), lowest).scatter(1, itself[:, None], lowest)
    each = F.cross_entropy(logits, positive, reduction="none")
    return rows.mean(each.view(2, -1).mean(0))
