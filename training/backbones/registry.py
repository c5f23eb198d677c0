"""SPECs: which loader opens which."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from avfeat.errors import ArgumentError
from avfeat.extras import extra_packages
from avfeat.training.backbones.backbone import AudioBackbone, VideoBackbone
from avfeat.training.backbones.own import own_audio, own_frames
from avfeat.training.data.sources.address import Address, exists, parse

_LIBRARIES = ("timm", "torchvision", "transformers")
_ONE = {"efficientnet_lite0": "video", "mn04_as": "audio"}
"""Networks whose name is all that is needed, and what they take."""
FORMS = (
    "timm:NAME, torchvision:NAME, transformers:REPO_OR_FOLDER, efficientnet_lite0, mn04_as, mn04_as:FILE "
    "or module.py:function"
)


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
    kind, name, address = _take_apart(spec)
    if kind == "mn04_as":
        raise ArgumentError(f"{spec}: is a network of sound, not of frames.")
    if kind == "efficientnet_lite0":
        from avfeat.training.backbones.timm_networks import lite0_images

        return lite0_images(address)
    if kind == "timm":
        from avfeat.training.backbones.timm_networks import timm_images as loader
    elif kind == "torchvision":
        from avfeat.training.backbones.torchvision_networks import torchvision_frames as loader
    elif kind == "transformers":
        with extra_packages("backbones"):
            from avfeat.training.backbones.transformers_networks import transformers_images as loader
    else:
        return own_frames(kind, name, address)
    return loader(name, address)


def open_audio(spec: str) -> AudioBackbone:
    """The network of sound that a SPEC names.

    That is ``transformers:REPO_OR_FOLDER``, ``mn04_as``, ``mn04_as:FILE`` or ``module.py:function``.

    Raises:
        ArgumentError: no such SPEC or network.
        WeightsError: weights that cannot be fetched or read.
        BackendError: its library is not installed.
    """
    kind, name, address = _take_apart(spec)
    if kind == "efficientnet_lite0":
        raise ArgumentError(f"{spec}: is a network of frames, not of sound.")
    if kind in ("timm", "torchvision"):
        raise ArgumentError(
            f"{spec}: {kind} has no audio networks; take transformers:..., mn04_as or module.py:function."
        )
    loader: Callable[[str, Address], AudioBackbone]
    if kind == "mn04_as":
        from avfeat.training.backbones.mn04_sounds import mn04_sounds as loader
    elif kind == "transformers":
        with extra_packages("backbones"):
            from avfeat.training.backbones.transformers_networks import transformers_audio as loader
    else:
        return own_audio(kind, name, address)
    return loader(name, address)


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
    """Library or file, name or function, and all of it with its options."""
    address = _address(spec)
    path = address.path
    kind, colon, name = path.rpartition(":") if ".py:" in path else path.partition(":")
    if kind in _ONE and (name or not colon) and not (kind == "efficientnet_lite0" and colon):
        return kind, name, address
    known = kind in _LIBRARIES or kind.endswith(".py")
    if not (known and colon and name):
        raise ArgumentError(f"{spec}: is no network that can be opened; {_hint(kind, path)}give {FORMS}.")
    return kind, name, address
