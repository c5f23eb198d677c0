"""The model card: what a bundle was made of, measured, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from avfeat.bundle import Precision
from avfeat.errors import ArgumentError
from avfeat.export.model import Model
from avfeat.export.parity.gate import ParityRow

_UNTRAINED = """**This model is untrained: its weights are random.** It shows that everything around a model works,
and it is the baseline that a trained model has to beat. Do not expect its embeddings to mean anything.
"""

_CARD = """# {name}{untrained}

{first}
| | video | audio |
|---|---|---|
| network | {spec.video} | {spec.audio} |
| a window | {frames} | {samples} |
| features | {video_dim} | {audio_dim} |
| shared | {spec.shared} | {spec.shared} |

- Data: {data}.
- Licence of the weights: {licence}.
- Precision of the files: {precision}.{limits}
{notes}
## Parity

The files against the networks in PyTorch and float32: {head}
{rows}
"""

PARITY_HEAD = """the greatest difference of a row over the median distance
between different clips (with its bound), the greatest difference of an element over the greatest element, the least
cosine.

| file | device | output | inputs | number | distance | bound | error | cosine |
|---|---|---|---|---|---|---|---|---|"""


def card(model: Model, precision: Precision, rows: Sequence[ParityRow], notes: str = "") -> str:
    """The text of ``MODEL_CARD.md``; ``notes`` are Markdown of the model's author."""
    spec, weights_origin = model.spec, model.weights_origin
    trained = f"Trained for {weights_origin.step} steps; the recipe is in `bundle.json`.\n"
    if not weights_origin.step:
        trained = "Put together from trained parts; the recipe in `bundle.json` goes on from it.\n"
    return _CARD.format(
        name=weights_origin.name,
        untrained="" if weights_origin.trained else ": untrained",
        first=trained if weights_origin.trained else _UNTRAINED,
        spec=spec,
        frames=f"{spec.frames} frames at {spec.fps}/s, {spec.size}x{spec.size} RGB ({spec.aspect})",
        samples=f"{spec.seconds:g} s at {spec.sample_rate} Hz, mono",
        video_dim=model.pair.video.dim,
        audio_dim=model.pair.audio.dim,
        data=weights_origin.data,
        licence=weights_origin.licence,
        precision=precision,
        limits="" if weights_origin.trained else _LIMITS,
        notes=f"\n{notes.strip()}\n" if notes.strip() else "",
        head=PARITY_HEAD,
        rows="\n".join(parity_line(row) for row in rows),
    )


def read_text(path: Path) -> str:
    """The notes in a file.

    Raises:
        ArgumentError: it is not there, or no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error.reason
        raise ArgumentError(f"{path}: cannot be read as text ({why}); name a file of Markdown in UTF-8.") from error


_LIMITS = """
- Limits: no meaning was learned. Similar clips get similar vectors only as far as their pixels and spectra do."""


def parity_line(row: ParityRow) -> str:
    """A row of the table below ``PARITY_HEAD``."""
    bound = f"{row.limit:g}" if math.isfinite(row.limit) else ""
    measured = f"{row.distance:.1e} | {bound} | {row.error:.1e} | {row.cosine:.6f}"
    return f"| {row.modality} {row.form} | {row.device} | {row.output} | {row.inputs} | {row.count} | {measured} |"
