"""Which formats and precisions there are, and which go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from avfeat.backends import Backend
from avfeat.bundle import Modality, Precision
from avfeat.errors import ArgumentError

SUFFIXES: dict[Backend, str] = {"onnx": "onnx", "torchscript": "ts", "pt2": "pt2"}

PRECISIONS: dict[Backend, tuple[Precision, ...]] = {
    "onnx": ("fp32", "fp16", "int8"),
    "torchscript": ("fp32",),
    "pt2": ("fp32", "fp16"),
}


def file_name(modality: Modality, form: Backend) -> str:
    """What a format's file is called in a bundle."""
    return f"{modality}.{SUFFIXES[form]}"


def choose_formats(formats: str, precision: str) -> tuple[tuple[Backend, ...], Precision]:
    """The formats of a comma-separated list, and the precision, if all of them have it.

    Raises:
        ArgumentError: any other combination; the message lists those that there are.
    """
    names = [name.strip() for name in formats.split(",")]
    for name in names:
        if name not in PRECISIONS:
            raise ArgumentError(f"There is no format {name!r}; {combinations()}.")
    if len(set(names)) < len(names):
        raise ArgumentError(f"--format {formats}: names a format twice.")
    good = all(precision in PRECISIONS[cast(Backend, name)] for name in names)
    if not good or precision not in get_args(Precision):
        raise ArgumentError(f"There is no {formats} in {precision}; {combinations()}.")
    return tuple(cast("Sequence[Backend]", names)), cast(Precision, precision)


def combinations() -> str:
    """Those that there are, in words."""
    each = (f"{form} in {', '.join(precisions)}" for form, precisions in PRECISIONS.items())
    return f"there are {'; '.join(each)}"
