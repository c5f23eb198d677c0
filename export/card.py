"""The model card: what a bundle was made of, measured, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from avfeat.bundle import MODALITIES
from avfeat.errors import ArgumentError
from avfeat.export.model import WeightsOrigin
from avfeat.export.parity.gate import ParityRow

_UNTRAINED = """**This model is untrained: its weights are random.** It shows that everything around a model works,
and it is the baseline that a trained model has to beat. Do not expect its embeddings to mean anything.
"""

_CARD = """# {name}{untrained}

{first}
{table}

{facts}
{notes}
## Parity

The files against {reference}: the greatest difference of a row over the median distance
between different clips (with its bound), the greatest difference of an element over the greatest element, the least
cosine.

| file | device | output | inputs | number | distance | bound | error | cosine |
|---|---|---|---|---|---|---|---|---|
{rows}
"""


def card(
    manifest: Mapping[str, Any],
    rows: Sequence[ParityRow],
    first: str,
    reference: str,
    notes: str = "",
    remarks: Sequence[str] = (),
) -> str:
    """The text of ``MODEL_CARD.md``.

    Args:
        manifest: what ``bundle.json`` says.
        rows: the parity report.
        first: a paragraph on what it is.
        reference: what the files were held against, in words.
        notes: Markdown of the model's author.
        remarks: sentences for the list of facts.
    """
    lines = [*_table(manifest), ""]
    facts = [
        f"Data: {manifest['provenance']['data']}.",
        f"Licence of the weights: {manifest['licence']}.",
        f"Precision of the files: {manifest['precision']}.",
        *remarks,
    ]
    return _CARD.format(
        name=manifest["name"],
        untrained="" if manifest["trained"] else ": untrained",
        first=first,
        table="\n".join(lines).rstrip(),
        facts="\n".join(f"- {fact}" for fact in facts),
        reference=reference,
        notes=f"\n{notes.strip()}\n" if notes.strip() else "",
        rows="\n".join(_parity_line(row) for row in rows),
    )


def first_of(origin: WeightsOrigin) -> tuple[str, tuple[str, ...]]:
    """The first paragraph on a pair that was trained here, or was not, and what is to be remarked."""
    if not origin.trained:
        return _UNTRAINED, (_LIMITS,)
    if origin.step:
        return f"Trained for {origin.step} steps; the recipe is in `bundle.json`.\n", ()
    return "Put together from trained parts; the recipe in `bundle.json` goes on from it.\n", ()


def _table(manifest: Mapping[str, Any]) -> Iterator[str]:
    """A column for each encoder."""
    encoders = [manifest[name] for name in MODALITIES if name in manifest]
    names = [name for name in MODALITIES if name in manifest]
    texts = [manifest["text"]] if "text" in manifest else []
    shared = [_dim(one, "shared") for one in [*encoders, *texts]]
    yield _row("", [*names, *("text" for _ in texts)])
    yield "|---" * (1 + len(shared)) + "|"
    networks = manifest["provenance"]["networks"]
    yield _row("network", [*(networks[name] for name in names), *(f"that of {one['with'][0]}" for one in texts)])
    yield _row("a window", [*(_window(one, manifest["seconds"]) for one in encoders), *("" for _ in texts)])
    yield _row("features", [*(_dim(one, "features") for one in encoders), *("" for _ in texts)])
    if any(shared):
        yield _row("shared", shared)
    if any("frames" in one["outputs"] for one in encoders):
        yield _row("dense rows of a window", [*(_dense(one["outputs"].get("frames")) for one in encoders)])


def _row(head: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([head, *cells])} |"


def _dim(encoder: Mapping[str, Any], output: str) -> str:
    return str(encoder["outputs"][output]["dim"]) if output in encoder["outputs"] else ""


def _dense(port: Mapping[str, Any] | None) -> str:
    return "" if port is None else f"{port['rows']} of {port['dim']}"


def _window(encoder: Mapping[str, Any], seconds: float) -> str:
    if "sample_rate" in encoder:
        return f"{seconds:g} s at {encoder['sample_rate']} Hz, mono"
    side = encoder["size"]
    size = "any size" if side is None else f"{side}x{side} RGB ({encoder['aspect']})"
    return f"{encoder['frames']} frames at {encoder['fps']:g}/s, {size}"


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


_LIMITS = (
    "Limits: no meaning was learned. Similar clips get similar vectors only as far as their pixels and spectra do."
)


def _parity_line(row: ParityRow) -> str:
    bound = f"{row.limit:g}" if math.isfinite(row.limit) else ""
    measured = f"{row.distance:.1e} | {bound} | {row.error:.1e} | {row.cosine:.6f}"
    return f"| {row.modality} {row.form} | {row.device} | {row.output} | {row.inputs} | {row.count} | {measured} |"
