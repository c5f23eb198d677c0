"""What the export refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from avfeat.errors import AvfeatError

if TYPE_CHECKING:
    from avfeat.export.parity.gate import ParityRow


class ExportError(AvfeatError):
    """A network that cannot be written in the format or precision that was asked for."""


class ParityError(ExportError):
    """Files that were written, and that compute something else than the networks they were made of.

    Attributes:
        rows: what was compared; those with ``ok`` False are out of bounds.
    """

    def __init__(self, message: str, rows: Sequence[ParityRow]) -> None:
        super().__init__(message)
        self.rows = tuple(rows)
