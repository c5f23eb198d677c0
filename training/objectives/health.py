"""Numbers that show whether embeddings are alive; to be watched, not trained: they have no gradient.

Each takes the samples that are there and normalises them to unit length; of fewer than two, spread
(the standard deviation, uniformity) is not a number.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


@torch.no_grad()
def embedding_std(embeddings: Tensor) -> Tensor:
    """Standard deviation over samples, mean of all dimensions: 0 if collapsed, about ``1 / sqrt(dim)`` if healthy.

    SimSiam, Chen and He, CVPR 2021, arXiv 2011.10566, section 4.1 (figure 2, middle).

    Args:
        embeddings: ``(samples, dim)``.
    """
    return F.normalize(embeddings.float(), dim=1).std(dim=0).mean()


@torch.no_grad()
def alignment(first: Tensor, second: Tensor, power: float = 2) -> Tensor:
    """Mean distance of the two sides of a pair, to a power: 0 when they are equal, 4 at most (power 2).

    Wang and Isola, ICML 2020, arXiv 2005.10242, section 4.1.1.

    Args:
        first: ``(samples, dim)``.
        second: the same samples.
        power: the paper's alpha.
    """
    apart = F.normalize(first.float(), dim=1) - F.normalize(second.float(), dim=1)
    distances: Tensor = torch.linalg.vector_norm(apart, dim=1)
    return distances.pow(power).mean()


@torch.no_grad()
def uniformity(embeddings: Tensor, sharpness: float = 2) -> Tensor:
    """Logarithm of the mean Gaussian potential of all pairs of samples: 0 when collapsed, lower when spread out.

    Wang and Isola, ICML 2020, arXiv 2005.10242, section 4.1.2.

    Args:
        embeddings: ``(samples, dim)``.
        sharpness: the paper's t.
    """
    squares: Tensor = F.pdist(F.normalize(embeddings.float(), dim=1)).square()
    potential: Tensor = squares.mul(-sharpness).exp().mean()
    return potential.log()
