"""SPECs: which loader opens which."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.extras import extra_packages
from avfeat.training.backbones.backbone import AudioBackbone, VideoBackbone
from avfeat.training.data.sources.address import Address, exists, parse

_LIBRARIES = ("timm", "torchvision", "transformers")
_ONE = ("efficientnet_lite0", "mn04_as")
"""Networks whose name is all that is needed."""
_OWN = "module.py:function"
FORMS = (
    "timm:NAME, torchvision:NAME, transformers:REPO_OR_FOLDER, efficientnet_lite0, mn04_as, mn04_as:FILE "
    "or module.py:function"
)


_LOADERS: Mapping[Modality, Mapping[str, str]] = {
    "video": {
        "timm": "timm_networks.timm_images",
        "torchvision": "torchvision_networks.torchvision_frames",
        "transformers": "transformers_networks.transformers_images",
        "efficientnet_lite0": "timm_networks.lite0_images",
        _OWN: "own.own_frames",
    },
    "audio": {
        "transformers": "transformers_networks.transformers_audio",
        "mn04_as": "mn04_sounds.mn04_sounds",
        _OWN: "own.own_audio",
    },
}
"""Module and function that open a SPEC of a kind: each needs packages of its own."""


def open_video(spec: str) -> VideoBackbone:
    """The network of frames that a SPEC names.

    That is ``timm:NAME``, ``torchvision:NAME``, ``transformers:REPO_OR_FOLDER``, ``efficientnet_lite0`` or
    ``module.py:function``. Of the first two, ``?weights=FILE`` takes weights from a file, and ``?weights=none``
    random ones.

    Raises:
        ArgumentError: no such SPEC or network.
        WeightsError: weights that cannot be fetched or read.
        BackendError: its library is not installed.
    """
    return cast(VideoBackbone, _open(spec, "video"))


def open_audio(spec: str) -> AudioBackbone:
    """The network of sound that a SPEC names.

    That is ``transformers:REPO_OR_FOLDER``, ``mn04_as``, ``mn04_as:FILE`` or ``module.py:function``.

    Raises:
        ArgumentError: no such SPEC or network.
        WeightsError: weights that cannot be fetched or read.
        BackendError: its library is not installed.
    """
    return cast(AudioBackbone, _open(spec, "audio"))


def _open(spec: str, modality: Modality) -> VideoBackbone | AudioBackbone:
    kind, name, address = _take_apart(spec)
    known = _LOADERS[modality]
    if kind in _ONE and kind not in known:
        one, other = ("sound", "frames") if modality == "video" else ("frames", "sound")
        raise ArgumentError(f"{spec}: is a network of {one}, not of {other}.")
    if kind not in known:
        raise ArgumentError(
            f"{spec}: {kind} has no {modality} networks; take transformers:..., mn04_as or module.py:function."
        )
    module, function = known[kind].split(".")
    with extra_packages("backbones"):
        loader = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    found: VideoBackbone | AudioBackbone = loader(name, address)
    return found


def is_spec(text: str) -> bool:
    """Whether ``text`` has the form of a SPEC; what it names may not be there."""
    try:
        _take_apart(text)
    except ArgumentError:
        return False
    return True


def _hint(kind: str, path: str) -> str:
    if path.endswith(".py"):
        return f"name its function, {path}:function, or "
    close = difflib.get_close_matches(kind, [*_LIBRARIES, *_ONE], 1)
    return f"did you mean {close[0]!r}? Or " if close and close[0] != kind else ""


def _address(spec: str) -> Address:
    """A folder or file that exists is that one, whatever its name looks like; a Python file is before its colon."""
    kind, _, name = spec.rpartition(":") if ".py:" in spec else spec.partition(":")
    there = exists(Path(kind if kind.endswith(".py") else name)) if name else False
    return Address(spec, spec) if there else parse(spec)


def _take_apart(spec: str) -> tuple[str, str, Address]:
    """Kind of the SPEC, what its loader is given, and all of it with its options."""
    address = _address(spec)
    path = address.path
    kind, colon, name = path.rpartition(":") if ".py:" in path else path.partition(":")
    if kind in _ONE and (name or not colon) and not (kind == "efficientnet_lite0" and colon):
        return kind, name, address
    known = kind in _LIBRARIES or kind.endswith(".py")
    if not (known and colon and name):
        raise ArgumentError(f"{spec}: is no network that can be opened; {_hint(kind, path)}give {FORMS}.")
    return (_OWN, path, address) if kind.endswith(".py") else (kind, name, address)
