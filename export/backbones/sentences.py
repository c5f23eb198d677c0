"""Sentences that text towers are tried on, against the library's own tokenizer and network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avfeat.export.errors import ExportError
from avfeat.export.parity.gate import ParityRow
from avfeat.export.parity.probes import median_distance
from avfeat.text import TextTower, Tokenizer
from avfeat.training.backbones.backbone import TextBackbone
from avfeat.verify import compare

SENTENCES = (
    "a dog barks",
    "",
    "x",
    "A photo of a CAT, sitting on a mat.",
    "  two   spaces,\ta tab\nand a line",
    "Regen fällt auf die Straße: çà et là, naïve café №5",
    "犬が吠えている 🐕",
    "a man speaks while music plays and a train passes by " * 40,
)
"""Short, empty, beyond any limit, of other alphabets, with signs and spaces."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """What a library makes of ``SENTENCES``, of each alone and of all of them together.

    Attributes:
        batches: the sentences.
        expected: their tokens, and the rows of the network.
        distance: median distance between different sentences.
    """

    batches: Sequence[Sequence[str]]
    expected: Sequence[tuple[list[Tensor], Tensor]]
    distance: float

    @classmethod
    def by(cls, tower: TextBackbone) -> Spoken:
        """Run a library's pipeline.

        Raises:
            ExportError: sentences are all the same to the network.
        """
        batches = [*([sentence] for sentence in SENTENCES), list(SENTENCES)]
        with torch.inference_mode():
            expected = [tower.pipeline(batch) for batch in batches]
        rows = expected[-1][1].numpy()
        distance = median_distance(rows, np.arange(len(rows), dtype=np.int64))
        if not (np.isfinite(distance) and distance > 1e-6):
            raise ExportError(
                "The network's outputs for different sentences are all the same, or no numbers; train it."
            )
        return cls(batches, expected, distance)

    def check_tokens(self, tokenizer: Tokenizer) -> None:
        """A tokenizer that was written makes the library's tokens.

        Raises:
            ExportError: it makes other ones.
        """
        for batch, (wanted, _) in zip(self.batches, self.expected, strict=True):
            found = tokenizer(batch)
            if not all(np.array_equal(one, other.numpy()) for one, other in zip(found, wanted, strict=True)):
                raise ExportError(
                    f"{tokenizer.name} makes other tokens of {batch[0][:40]!r} than the library's tokenizer; "
                    "take --text none to leave text out."
                )

    def measure(self, tower: TextTower) -> ParityRow:
        """How far the rows of a tower that was written are from the library's."""
        worst, error, cosine = 0.0, 0.0, 1.0
        for batch, (_, wanted) in zip(self.batches, self.expected, strict=True):
            compared = compare(tower.run(tower.tokens(batch)), wanted.numpy())
            worst = max(worst, float(compared.norms.max()) / self.distance)
            error, cosine = max(error, compared.error), float(np.minimum(cosine, compared.cosine))
        count = sum(len(batch) for batch in self.batches)
        return ParityRow(
            "onnx", tower.device, "text", "shared", "sentences", count, worst, error, cosine, precision="fp32"
        )
