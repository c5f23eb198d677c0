"""Checkpoints of a training: written atomically, and read without running any code of theirs."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avfeat.errors import ArgumentError, AvfeatError
from avfeat.plain import open_plain
from avfeat.training.networks import EncoderPair, PairSpec, build_pair
from avfeat.training.renamed import with_new_names
from avfeat.training.schema import build
from avfeat.writers.atomic import atomic

FORMAT = "avfeat-checkpoint"
VERSION = 1
LAST = Path("checkpoints") / "last.pt"
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error)
"""What torch's reader raises, too, for bytes that are no checkpoint."""
_MADE = frozenset(
    {
        "collections OrderedDict",
        "torch Size",
        "torch device",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor_v2",
        *(f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Byte", "Bool")),
        *(f"torch {kind}Storage" for kind in ("Long", "Int", "Short", "Char")),
    }
)
"""What torch writes for the values of a checkpoint."""
_KEYS = ("recipe", "step", "data", "provenance", "encoders", "training")


class CheckpointError(AvfeatError):
    """A checkpoint that is missing, broken, or of another version."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a training leaves behind, for itself and for the export.

    Attributes:
        recipe: resolved, as JSON values.
        step: steps that were done.
        data: ``source`` as it was asked for, ``fingerprint``, ``clips`` and ``seconds``.
        provenance: versions of avfeat and torch, git revision; what it began with and who taught it.
        encoders: weights of the ``EncoderPair``.
        training: everything else that going on needs.
    """

    recipe: Mapping[str, Any]
    step: int
    data: Mapping[str, Any]
    provenance: Mapping[str, Any]
    encoders: Mapping[str, Any]
    training: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Write to ``path`` atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {"format": FORMAT, "version": VERSION} | {key: getattr(self, key) for key in _KEYS}
        with atomic(path) as file:
            torch.save(values, file)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint onto the CPU.

        Args:
            path: the file, or the folder of a run.

        Raises:
            CheckpointError: it is missing, broken, or of another version.
        """
        file = path / LAST if path.is_dir() else path
        values = _read(file)
        version = values.get("version")
        if version != VERSION:
            raise CheckpointError(
                f"{file}: has checkpoint version {version!r}, not {VERSION}; use the avfeat that wrote it."
            )
        missing = [key for key in _KEYS if key not in values]
        if missing:
            raise CheckpointError(f"{file}: has no {', '.join(missing)}; train again, or take another checkpoint.")
        wrong = [key for key in _KEYS if key != "step" and not isinstance(values[key], Mapping)]
        if wrong:
            raise CheckpointError(f"{file}: {wrong[0]} is not what avfeat writes; take another checkpoint.")
        recipe = with_new_names(values["recipe"], str(file))
        return cls(**{key: values[key] for key in _KEYS} | {"recipe": recipe})

    @property
    def spec(self) -> PairSpec:
        """The networks, and what a window is for them.

        Raises:
            CheckpointError: settings that this avfeat does not know.
        """
        try:
            return build(PairSpec, self.recipe["encoders"], "encoders")
        except (ArgumentError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"The checkpoint's networks are unknown here ({error}); update avfeat."
            ) from error

    def pair(self) -> EncoderPair:
        """The trained encoders, in evaluation mode.

        Raises:
            CheckpointError: weights that are not those of the recipe's networks.
        """
        # The weights come from here: none have to be fetched.
        spec = self.spec
        try:
            pair = build_pair(spec, published=False)
            pair.load_state_dict(dict(self.encoders))
        except ArgumentError as error:
            raise CheckpointError(f"The checkpoint's networks are unknown here: {error}") from error
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(f"The checkpoint's weights do not fit its networks: {reason}") from error
        return pair.eval()


def _read(file: Path) -> dict[str, Any]:
    try:
        _check_archive(file)
        values = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{file}: no checkpoint is there; name the folder of a run, or a .pt file."
        ) from error
    except (OSError, RuntimeError, EOFError, *_BROKEN, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{file}: is no checkpoint that can be read; take another one.") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise CheckpointError(f"{file}: is no checkpoint of avfeat.")
    return values


def _check_archive(file: Path) -> None:
    """What is in the archive fits into it, and it makes nothing but tensors, text, numbers and collections.

    torch's reader runs no foreign code, but it makes bytes of any number, and unpacks whatever was packed.

    Raises:
        OSError: it is not there, or no ordinary file.
        ValueError, BadZipFile: it is no archive of this kind.
    """
    with open_plain(file) as opened, zipfile.ZipFile(opened) as archive:
        entries = archive.infolist()
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > os.fstat(opened.fileno()).st_size:
            raise ValueError("holds more than it is large")
        for entry in entries:
            if entry.filename.endswith(".pkl"):
                _check_pickle(archive.read(entry))


def _check_pickle(content: bytes) -> None:
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in ("STACK_GLOBAL", "INST"):
            raise ValueError("names what it makes in another way than torch")
        if operation.name == "GLOBAL" and argument not in _MADE:
            raise ValueError(f"makes a {argument}")
