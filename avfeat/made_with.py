"""What goes with one bundle, an index or a classifier, and the encoder of that bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from avfeat.bundle import SHIPPED, Bundle, find_bundle
from avfeat.encoder import Encoder, load
from avfeat.errors import ArgumentError


class MadeWith(Protocol):
    """Something on disk that goes with one bundle: an index, or a classifier."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def bundle(self) -> str:
        """The sha256 of the bundle."""


def encoder_of(made: MadeWith, model: str | None = None, device: str = "auto") -> Encoder:
    """The encoder that something was made with: ``model``, or of the bundles that ship the one that it was.

    Raises:
        ArgumentError: it was another.
    """
    given = "none that ships with avfeat"
    for name in SHIPPED if model is None else [model]:
        # One after the other: opening a bundle takes its checksums.
        bundle = Bundle.open(find_bundle(name))
        if bundle.sha256 == made.bundle:
            return load(name, device=device)
        if model is not None:
            given = f"not {bundle.name}"
    raise ArgumentError(
        f"{made.path}: was made with the bundle {made.bundle[:12]}..., {given}; name it with --model "
        "(encoder=), or make it again."
    )


def check_bundle(made: MadeWith, bundle: str, what: str) -> None:
    """Raise ``ArgumentError`` where vectors of two bundles would be compared."""
    if bundle != made.bundle:
        raise ArgumentError(
            f"{made.path}: was made with the bundle {made.bundle[:12]}..., {what} with "
            f"{bundle[:12] or 'an unknown one'}; vectors of two bundles do not compare."
        )
