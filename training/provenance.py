"""Where results come from: versions, revision, machine, data."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avfeat.training.data import Cache
from avfeat.version import __version__

_PACKAGES = ("torch", "torchvision", "torchaudio", "numpy", "av")


def versions() -> dict[str, str]:
    """Of avfeat, Python and the packages that results depend on."""
    found = {name: version(name) for name in _PACKAGES}
    return {"avfeat": __version__, "python": platform.python_version(), **found}


def revision() -> str:
    """The git revision of this code, with ``+`` if files were changed since; ``unknown`` outside its repository."""
    here = str(Path(__file__).parent)
    commands = (
        # An environment may lie in the folder of another repository, whose revision says nothing of this code.
        ("ls-files", "--error-unmatch", Path(__file__).name),
        ("rev-parse", "HEAD"),
        ("status", "--porcelain", "--untracked-files=no"),
    )
    try:
        _, head, changes = (
            subprocess.run(["git", "-C", here, *command], capture_output=True, text=True, check=True).stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changes else "")


def fingerprint(cache: Cache) -> str:
    """BLAKE2b of what the items of a cache are: their names, contents and labels, in order."""
    digest = hashlib.blake2b(digest_size=16)
    for row in cache.rows:
        digest.update(
            "\0".join((row.name, row.clip, row.label or "", row.group or "")).encode("utf-8", "backslashreplace")
        )
        digest.update(b"\n")
    return digest.hexdigest()


def weights_fingerprint(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names and bytes of a state dict, whatever file it came from."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        # As bytes: NumPy does not know every dtype of torch.
        digest.update(weights[name].reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def describe_data(source: str, cache: Cache) -> dict[str, Any]:
    """The data of a training: as it was asked for, and what it was."""
    return {
        "source": source,
        "fingerprint": fingerprint(cache),
        "clips": len(cache),
        "seconds": round(sum(row.seconds for row in cache.rows), 3),
        "classes": len(cache.classes),
    }


def describe_machine(device: torch.device, processes: int) -> dict[str, Any]:
    """What a training runs on."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": processes,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
