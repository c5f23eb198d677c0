"""SPECs: which loader opens which."""

from __future__ import annotations

from collections.abc import Callable

from avfeat.errors import ArgumentError
from avfeat.export.backbones.backbone import AudioBackbone, VideoBackbone
from avfeat.export.backbones.own import own_audio, own_frames
from avfeat.extras import extra_packages
from avfeat.training.data.sources.address import Address, parse

_FORMS = "timm:NAME, torchvision:NAME, transformers:REPO_OR_FOLDER or module.py:function"


def open_video(spec: str) -> VideoBackbone:
    """The network of frames that a SPEC names.

    That is ``timm:NAME``, ``torchvision:NAME``, ``transformers:REPO_OR_FOLDER`` or ``module.py:function``. Of the
    first two, ``?weights=FILE`` takes weights from a file, and ``?weights=none`` random ones.

    Raises:
        ArgumentError: no such SPEC or network.
        WeightsError: weights that cannot be fetched or read.
        BackendError: its library is not installed.
    """
    kind, name, address = _take_apart(spec)
    with extra_packages("backbones"):
        if kind == "timm":
            from avfeat.export.backbones.timm_networks import timm_images as loader
        elif kind == "torchvision":
            from avfeat.export.backbones.torchvision_networks import torchvision_frames as loader
        elif kind == "transformers":
            from avfeat.export.backbones.transformers_networks import transformers_images as loader
        else:
            return own_frames(kind, name, address)
    return loader(name, address)


def open_audio(spec: str) -> AudioBackbone:
    """The network of sound that a SPEC names: ``transformers:REPO_OR_FOLDER`` or ``module.py:function``.

    Raises:
        ArgumentError: no such SPEC or network.
        WeightsError: weights that cannot be fetched or read.
        BackendError: its library is not installed.
    """
    kind, name, address = _take_apart(spec)
    if kind in ("timm", "torchvision"):
        raise ArgumentError(f"{spec}: {kind} has no audio networks; take transformers:... or module.py:function.")
    if kind != "transformers":
        return own_audio(kind, name, address)
    with extra_packages("backbones"):
        from avfeat.export.backbones.transformers_networks import transformers_audio
    opened: Callable[[str, Address], AudioBackbone] = transformers_audio
    return opened(name, address)


def _take_apart(spec: str) -> tuple[str, str, Address]:
    """Library or file, name or function, and all of it with its options."""
    address = parse(spec)
    kind, colon, name = address.path.rpartition(":") if ".py:" in address.path else address.path.partition(":")
    known = kind in ("timm", "torchvision", "transformers") or kind.endswith(".py")
    if not (known and colon and name):
        raise ArgumentError(f"{spec}: is no network that can be opened; give {_FORMS}.")
    return kind, name, address
