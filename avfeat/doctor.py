"""Describes this machine: what avfeat would run on, and what is wrong with it."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass, field
from pathlib import Path

import av

from avfeat.backends.onnx import import_onnxruntime, installed_packages
from avfeat.bundle import Bundle, find_bundle
from avfeat.errors import AvfeatError
from avfeat.processors import available_processors
from avfeat.verify import verify
from avfeat.version import __version__


@dataclass
class Report:
    """What ``avfeat doctor`` found.

    Attributes:
        avfeat: its version.
        python: its version.
        platform: system and processor.
        processors: how many this process may use.
        packages: versions of the installed packages that matter, None for those that are not there.
        ffmpeg: versions of the FFmpeg libraries inside PyAV.
        providers: ONNX Runtime's execution providers, none without onnxruntime.
        bundle: name of the bundle that ships with avfeat.
        trained: whether its weights are trained.
        verified: device by device, whether the bundle gives its golden outputs.
        problems: sentences, each with its remedy; none on a healthy machine.
    """

    avfeat: str
    python: str
    platform: str
    processors: int
    packages: dict[str, str | None]
    ffmpeg: dict[str, str]
    providers: list[str] = field(default_factory=list)
    bundle: str | None = None
    trained: bool | None = None
    verified: dict[str, bool] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


_PACKAGES = ("numpy", "av", "typer", "onnxruntime", "onnxruntime-gpu", "torch", "pyarrow", "h5py")


def examine(bundle: Path | None = None) -> Report:
    """Look at everything that embedding needs; collect problems instead of raising them."""
    report = Report(
        avfeat=__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processors=available_processors(),
        packages={name: _version(name) for name in _PACKAGES},
        ffmpeg={name: ".".join(map(str, version)) for name, version in av.library_versions.items()},
    )
    try:
        runtime = import_onnxruntime()
        report.providers = list(runtime.get_available_providers())
        opened = Bundle.open(find_bundle(bundle))
        report.bundle, report.trained = opened.name, opened.trained
        _verify(report, opened)
    except AvfeatError as error:
        report.problems.append(str(error))
    return report


def _verify(report: Report, bundle: Bundle) -> None:
    devices = ["cpu", "cuda"] if "onnxruntime-gpu" in installed_packages() else ["cpu"]
    for device in devices:
        try:
            report.verified[device] = all(check.ok for check in verify(bundle, device))
        except AvfeatError as error:
            report.verified[device] = False
            report.problems.append(str(error))
            continue
        if not report.verified[device]:
            report.problems.append(f"outputs of {bundle.name} exceed tolerance on {device}; see: avfeat verify")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
