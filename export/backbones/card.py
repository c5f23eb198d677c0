"""The model card of networks of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avfeat.export.card import PARITY_HEAD, parity_line
from avfeat.export.parity.gate import ParityRow
from avfeat.export.window import WindowSpec
from avfeat.training.backbones.backbone import AudioBackbone

_CARD = """# {name}

Networks of others as files that take raw frames and raw sound, held against the pipelines of their own libraries.

{networks}

- A window: {window}.
- Licence of the weights: {licence}.{note}
{notes}
## Parity

The files against the libraries' own preprocessing and the networks in PyTorch: {head}
{rows}
"""


def backbone_card(
    manifest: Mapping[str, Any],
    window: WindowSpec,
    audio: AudioBackbone | None,
    rows: Sequence[ParityRow],
    notes: str,
) -> str:
    """The text of ``MODEL_CARD.md``; ``notes`` are Markdown of whoever exports."""
    parts = [f"{window.seconds:g} s"]
    if window.video is not None:
        side = window.video.size
        size = "any size" if side is None else f"{side}x{side} ({window.video.aspect}) and more"
        parts.append(f"{window.video.frames} frames of {size}")
    if window.audio is not None:
        parts.append(f"sound at {window.audio.rate} Hz")
    networks = [
        f"- {modality}: `{spec}`, features {manifest[modality]['outputs']['features']['dim']}"
        + _dense(manifest[modality]["outputs"].get("frames"))
        for modality, spec in manifest["provenance"]["networks"].items()
    ]
    if "text" in manifest:
        text = manifest["text"]
        networks.append(f"- text: that of {text['with'][0]}, shared {text['outputs']['shared']['dim']}")
    return _CARD.format(
        name=manifest["name"],
        networks="\n".join(networks),
        window=", ".join(parts),
        licence=manifest["licence"],
        note=f"\n- {audio.note}" if audio is not None and audio.note else "",
        notes=f"\n{notes.strip()}\n" if notes.strip() else "",
        head=PARITY_HEAD,
        rows="\n".join(parity_line(row) for row in rows),
    )


def _dense(port: Mapping[str, Any] | None) -> str:
    """What is said of rows within a window."""
    return "" if port is None else f", and {port['rows']} dense rows of {port['dim']} a window"
