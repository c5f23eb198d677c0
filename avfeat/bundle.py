"""Bundles: the folder in which encoders are deployed, with its description, checksums and golden outputs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from avfeat.arguments import check_path
from avfeat.errors import BundleError
from avfeat.graphs import MAX_SIZE, MIN_SIZE, MODALITIES, Graph, Manifest, Modality, Port, Precision, TextGraph
from avfeat.json_values import MANIFEST
from avfeat.manifest import FORMAT, MAX_RATE, SHORTEST, VERSION, is_plain, read_manifest
from avfeat.plain import read_arrays, read_plain

__all__ = [
    "DATA_SUFFIX",
    "FORMAT",
    "GOLDEN",
    "MANIFEST",
    "MAX_RATE",
    "MAX_SIZE",
    "METADATA",
    "MIN_SIZE",
    "MODALITIES",
    "MODEL_CARD",
    "SHIPPED",
    "SHORTEST",
    "VERSION",
    "Bundle",
    "Graph",
    "Manifest",
    "Modality",
    "Port",
    "Precision",
    "TextGraph",
    "check_free",
    "default_bundle",
    "find_bundle",
    "write_bundle",
]

GOLDEN = "golden.npz"
MODEL_CARD = "MODEL_CARD.md"
DATA_SUFFIX = ".data"
"""Behind the name of an ONNX file: the file with the values of its large tensors, where there is one."""

METADATA = "avfeat.json"
"""Name under which programs carry the description that ONNX files carry in their metadata."""

_MANIFEST_BYTES, _GOLDEN_BYTES = 2**24, 2**28


@dataclass(frozen=True, kw_only=True)
class Bundle(Manifest):
    """A bundle on disk whose files have been checked: what it says, and where it lies.

    Attributes:
        path: its folder.
        sha256: of ``bundle.json``, which in turn holds the checksum of every other file.
    """

    path: Path
    sha256: str

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Read and check the bundle at ``path``.

        Raises:
            BundleError: it is missing, foreign, newer, incomplete, or a checksum differs.
            ArgumentError: ``path`` is none.
        """
        folder = Path(check_path("path", path))
        raw = _read(folder)
        said = vars(read_manifest(folder, raw))
        return cls(path=folder, sha256=hashlib.sha256(raw).hexdigest(), **said)

    @property
    def graphs(self) -> Mapping[Modality, Graph]:
        """The encoders that there are, video first."""
        pairs = zip(MODALITIES, (self.video_graph, self.audio_graph), strict=True)
        return {modality: graph for modality, graph in pairs if graph is not None}

    def graph(self, modality: Modality) -> Graph:
        """The encoder of one modality.

        Raises:
            BundleError: the bundle has none.
        """
        graphs = self.graphs
        if modality not in graphs:
            raise BundleError(f"{self.path}: has no {modality} encoder; take a bundle that has one.")
        return graphs[modality]

    def text_graph(self) -> TextGraph:
        """The encoder of sentences.

        Raises:
            BundleError: the bundle has none.
        """
        if self.text is None:
            raise BundleError(
                f"{self.path}: has no text encoder; export a network that has one, such as CLIP or CLAP."
            )
        return self.text

    def file(self, modality: Modality, backend: str) -> Path:
        """The file that runs ``modality`` on ``backend``.

        Raises:
            BundleError: the bundle has no such file.
        """
        files = self.graph(modality).files
        if backend not in files:
            others = " or ".join(f"--backend {name}" for name in files)
            raise BundleError(f"{self.path}: has no {backend} file for {modality}; take {others}.")
        return self.path / files[backend]

    def scale(self, modality: str, output: str) -> float | None:
        """The median distance between different clips in an output, as measured at export; None if not stated."""
        distances = self.parity.get("distances")
        value = distances.get(f"{modality}_{output}") if isinstance(distances, Mapping) else None
        return float(value) if isinstance(value, int | float) and value > 0 else None

    @property
    def formats(self) -> tuple[str, ...]:
        """The backends that have a file for each modality that the bundle has."""
        first, *others = self.graphs.values()
        return tuple(name for name in first.files if all(name in graph.files for graph in others))

    def golden(self) -> dict[str, NDArray[Any]]:
        """Small inputs (``frames``, ``waveform``) and the reference outputs (``video_features``, ...).

        Raises:
            BundleError: the bundle carries none.
        """
        path = self.path / GOLDEN
        if not path.is_file():
            raise BundleError(f"{self.path}: has no {GOLDEN} to verify against; export it again.")
        try:
            return read_arrays(path, _GOLDEN_BYTES)
        except (OSError, ValueError) as error:
            raise BundleError(
                f"{path}: is no archive of arrays ({_why(error)}); export the bundle again."
            ) from error


SHIPPED = {"base": "default", "base-int8": "default_int8"}
"""Folders of the bundles that ship with avfeat, by the name that they are asked for by."""

_SHIPPED_ONCE = {"mini": "0.1.0", "mini-int8": "0.1.0"}
"""The last version that each of these names came with."""


def default_bundle() -> Path:
    """The folder of the bundle that is used where none is named."""
    return Path(__file__).parent / SHIPPED["base"]


def find_bundle(named: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a bundle: a path, or else the name of one that ships with avfeat; None for the default.

    Raises:
        BundleError: no such folder, and no such name, or one that no longer ships.
        ArgumentError: ``named`` is neither.
    """
    if named is None:
        return default_bundle()
    path = Path(check_path("bundle", named))
    if _exists(path):
        return path
    if str(named) in SHIPPED:
        return Path(__file__).parent / SHIPPED[str(named)]
    names = " or ".join(SHIPPED)
    if str(named) in _SHIPPED_ONCE:
        raise BundleError(
            f"{named}: shipped up to avfeat {_SHIPPED_ONCE[str(named)]}; take {names}, give a bundle's folder, "
            "or train it: avfeat train DATA -o RUN --recipe mini, then avfeat export RUN."
        )
    raise BundleError(f"{path}: no such bundle; give the folder that holds {MANIFEST}, or {names}, which ship.")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        # No file can have this name, or none may look.
        return False


def write_bundle(path: str | Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle atomically, and read it back.

    Args:
        path: the folder to make; there may be an empty one already.
        manifest: what ``bundle.json`` is to say; format, version and checksums are added here.
        files: contents by file name.

    Raises:
        BundleError: something lies there, or what was written is no valid bundle (then nothing is left).
    """
    target = Path(path)
    check_free(target)
    if any(not is_plain(name) for name in files):
        raise BundleError(f"{target}: files of a bundle must have plain names, not {', '.join(map(repr, files))}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, content in files.items():
            (staging / name).write_bytes(content)
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
        described = {"format": FORMAT, "version": VERSION, **manifest, "sha256": sums}
        (staging / MANIFEST).write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", "utf-8")
        Bundle.open(staging)
        staging.chmod(0o755)
        if target.exists():
            target.rmdir()
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return Bundle.open(target)


def check_free(target: Path) -> None:
    """Nothing is overwritten: a bundle needs a new folder, or an empty one.

    Raises:
        BundleError: something lies there.
    """
    empty = target.is_dir() and not any(target.iterdir()) and target.resolve() != Path.cwd()
    if target.is_symlink() or (target.exists() and not empty):
        raise BundleError(f"{target}: exists already; choose another name or remove it first.")
    above = next(folder for folder in target.absolute().parents if folder.exists())
    if not above.is_dir():
        raise BundleError(f"{target}: {above} is a file; choose another place.")


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _read(folder: Path) -> bytes:
    try:
        if not folder.is_dir():
            raise BundleError(f"{folder}: no such bundle; give the folder that holds {MANIFEST}.")
        return read_plain(folder / MANIFEST, _MANIFEST_BYTES)
    except FileNotFoundError as error:
        raise BundleError(f"{folder}: not a bundle: `{MANIFEST}` is missing.") from error
    except OSError as error:
        raise BundleError(f"{folder / MANIFEST}: cannot be read ({error.strerror}).") from error
