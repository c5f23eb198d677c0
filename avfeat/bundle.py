"""Bundles: the folder in which encoders are deployed, with its description, checksums and golden outputs.

``bundle.json`` is the contract between whoever wrote a bundle and whoever runs it. Readers ignore keys that they
do not know; a change that cannot be ignored raises ``VERSION``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from numpy.typing import NDArray

from avfeat.arguments import check_path
from avfeat.dense import ROWS, DenseRows
from avfeat.errors import BundleError
from avfeat.grid import microseconds
from avfeat.media import Aspect, AudioSpec, FrameLimits, VideoSpec
from avfeat.plain import check_depth, read_arrays, read_plain, sha256_of

FORMAT = "avfeat-bundle"
VERSION = 1
MANIFEST = "bundle.json"
GOLDEN = "golden.npz"
MODEL_CARD = "MODEL_CARD.md"
DATA_SUFFIX = ".data"
"""Behind the name of an ONNX file: the file with the values of its large tensors, where there is one."""

METADATA = "avfeat.json"
"""Name under which programs carry the description that ONNX files carry in their metadata."""
MIN_SIZE, MAX_SIZE = 16, 4320
MAX_RATE = 768_000
"""Samples a second: twice what any recorder makes."""

SHORTEST = 0.1
"""Seconds of a window, of which graphs of audio need so much."""

_MANIFEST_BYTES, _GOLDEN_BYTES, _WINDOW_BYTES, _MOST_DIM = 2**24, 2**28, 2**30, 2**20
_DEEPEST = 64

Modality = Literal["video", "audio"]
Precision = Literal["fp32", "fp16", "int8"]
MODALITIES: tuple[Modality, ...] = ("video", "audio")
T = TypeVar("T")


@dataclass(frozen=True)
class Port:
    """One input or output of a graph: its name, NumPy dtype and shape (a string is a dynamic dimension)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Graph:
    """One modality's encoder: a file for each backend, and what goes in and out.

    ``shared`` is None for a network that has no space in which audio and video compare, ``frames`` for one that
    gives no rows within a window.
    """

    files: Mapping[str, str]
    input: Port
    features: Port
    shared: Port | None
    frames: DenseRows | None = None

    @property
    def outputs(self) -> Mapping[str, Port]:
        """The outputs that there are, by what they mean."""
        rows = self.frames
        dense = None if rows is None else Port(rows.name, "float32", ("batch", ROWS, rows.dim))
        ports = {"features": self.features, "shared": self.shared, "frames": dense}
        return {key: port for key, port in ports.items() if port is not None}

    @property
    def widths(self) -> tuple[int, int]:
        """Elements of a row of ``features`` and of ``shared``; 0 for an output that is not there."""
        return int(self.features.shape[1]), 0 if self.shared is None else int(self.shared.shape[1])


@dataclass(frozen=True)
class TextGraph:
    """The encoder of sentences: a file for each backend, its tokenizer, and what goes in and out.

    Attributes:
        files: by backend.
        tokenizer: the file of the tokenizer, as the package ``tokenizers`` writes it.
        ids: int64 ``(batch, length)``, numbers of tokens.
        mask: int64 ``(batch, length)``, 1 for tokens and 0 for padding; None for a network that takes none.
        shared: float32 ``(batch, dim)``, rows of length 1.
        compares: the modalities whose ``shared`` lies in the same space.
    """

    files: Mapping[str, str]
    tokenizer: str
    ids: Port
    mask: Port | None
    shared: Port
    compares: tuple[Modality, ...]

    @property
    def inputs(self) -> tuple[Port, ...]:
        """What goes in."""
        return (self.ids,) if self.mask is None else (self.ids, self.mask)


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose files have been checked.

    Attributes:
        path: its folder.
        sha256: of ``bundle.json``, which in turn holds the checksum of every other file.
        name: of the model.
        licence: of the weights.
        trained: False for encoders with random weights.
        seconds: length of a window.
        video: how frames are sampled for ``video_graph``; None for a bundle of audio alone.
        audio: how audio is sampled for ``audio_graph``; None for a bundle of video alone.
        video_graph: the video encoder, or None.
        audio_graph: the audio encoder, or None.
        precision: of the weights and the arithmetic.
        provenance: where it comes from, free form.
        parity: how far the files are from their reference, free form.
        listed: the files that have a checksum, all of which have been compared.
        text: the encoder of sentences, or None.
    """

    path: Path
    sha256: str
    name: str
    licence: str
    trained: bool
    seconds: float
    video: VideoSpec | None
    audio: AudioSpec | None
    video_graph: Graph | None
    audio_graph: Graph | None
    precision: Precision
    provenance: Mapping[str, Any]
    parity: Mapping[str, Any]
    listed: frozenset[str] = frozenset()
    text: TextGraph | None = None

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Read and check the bundle at ``path``.

        Raises:
            BundleError: it is missing, foreign, newer, incomplete, or a checksum differs.
            ArgumentError: ``path`` is none.
        """
        folder = Path(check_path("path", path))
        raw = _read_manifest(folder)
        manifest = _Manifest(folder, _parse(folder, raw))
        manifest.check_version()
        manifest.check_files()
        return manifest.bundle(hashlib.sha256(raw).hexdigest())

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
    if any(not _plain(name) for name in files):
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


def _plain(name: str) -> bool:
    """Whether a name is one of a file in the bundle's own folder."""
    return Path(name).name == name and name.isprintable() and "\\" not in name


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _read_manifest(folder: Path) -> bytes:
    try:
        if not folder.is_dir():
            raise BundleError(f"{folder}: no such bundle; give the folder that holds {MANIFEST}.")
        return read_plain(folder / MANIFEST, _MANIFEST_BYTES)
    except FileNotFoundError as error:
        raise BundleError(f"{folder}: not a bundle: `{MANIFEST}` is missing.") from error
    except OSError as error:
        raise BundleError(f"{folder / MANIFEST}: cannot be read ({error.strerror}).") from error


def _parse(folder: Path, raw: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(raw)
        check_depth(manifest, _DEEPEST)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{folder / MANIFEST}: is not JSON; export the bundle again.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{folder}: is not an avfeat bundle ({MANIFEST} does not say '{FORMAT}').")
    return manifest


@dataclass(frozen=True)
class _Manifest:
    """``bundle.json`` as parsed, and the checks on it."""

    folder: Path
    values: Mapping[str, Any]

    def check_version(self) -> None:
        version = self.values.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise self._wrong("version", "must be a positive whole number")
        if version > VERSION:
            raise BundleError(
                f"{self.folder}: has format version {version}, this avfeat reads up to {VERSION}; "
                "upgrade with: pip install --upgrade avfeat"
            )

    def check_files(self) -> None:
        sums = self._take(self.values, "sha256", dict)
        for name, expected in sums.items():
            if not _plain(name):
                raise self._wrong("sha256", f"names {name!r}, which is not a plain file name")
            try:
                found = sha256_of(self.folder / name)
            except FileNotFoundError as error:
                raise BundleError(f"{self.folder / name}: is missing; copy or export the bundle again.") from error
            except OSError as error:
                raise BundleError(f"{self.folder / name}: cannot be read ({error.strerror}).") from error
            if found != expected:
                raise BundleError(
                    f"{self.folder / name}: differs from its checksum; copy or export the bundle again."
                )

    def bundle(self, sha256: str) -> Bundle:
        seconds = self._number(self.values, "seconds")
        if seconds < SHORTEST:
            raise self._wrong("seconds", f"must be {SHORTEST} or more")
        video, audio = self._encoder("video"), self._encoder("audio")
        if video is None and audio is None:
            raise self._wrong("video", "and 'audio' are missing, and one of them must be there")
        precision = self._choice(self.values, "precision", get_args(Precision))
        frames = None if video is None else self._video_spec(video, seconds)
        samples = None if audio is None else self._audio_spec(audio, seconds)
        video_graph = None if video is None else self._graph(video, "uint8", 5)
        audio_graph = None if audio is None else self._graph(audio, "float32", 2)
        self._check_shared(video_graph, audio_graph)
        if frames is not None and video_graph is not None:
            self._check_video_shape(video_graph.input.shape, frames)
        if samples is not None and audio_graph is not None:
            self._check_shape(audio_graph.input.shape, {1: samples.samples})
        return Bundle(
            path=self.folder,
            sha256=sha256,
            name=self._take(self.values, "name", str),
            licence=self._take(self.values, "licence", str),
            trained=self._take({"trained": True, **self.values}, "trained", bool),
            seconds=seconds,
            video=frames,
            audio=samples,
            video_graph=video_graph,
            audio_graph=audio_graph,
            precision=cast(Precision, precision),
            provenance=self._take(self.values, "provenance", dict),
            parity=self._take(self.values, "parity", dict),
            listed=frozenset(self._take(self.values, "sha256", dict)),
            text=self._text({"video": video_graph, "audio": audio_graph}),
        )

    def _video_spec(self, video: Mapping[str, Any], seconds: float) -> VideoSpec:
        fps = self._number(video, "fps")
        frames = self._take(video, "frames", int)
        if not 1 <= frames <= _WINDOW_BYTES or abs(frames - fps * seconds) > 1e-6:
            raise self._wrong("frames", f"must be fps * seconds ({fps} * {seconds})")
        if "size" in video and video["size"] is None:
            # As large as they come, as far as graphs take it, and windows of one kind can be held.
            limits = FrameLimits(MIN_SIZE, MAX_SIZE, _WINDOW_BYTES // (3 * frames))
            return VideoSpec(fps, frames, None, limits=limits)
        size = self._take(video, "size", int)
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise self._wrong("size", f"must be from {MIN_SIZE} to {MAX_SIZE}")
        if frames * size * size * 3 > _WINDOW_BYTES:
            raise self._wrong("frames", f"and the size make windows of more than {_WINDOW_BYTES:,} bytes")
        aspect = self._choice({"aspect": "stretch", **video}, "aspect", get_args(Aspect))
        return VideoSpec(fps, frames, size, cast(Aspect, aspect))

    def _audio_spec(self, audio: Mapping[str, Any], seconds: float) -> AudioSpec:
        rate = self._take(audio, "sample_rate", int)
        if not 1 <= rate <= MAX_RATE:
            raise self._wrong("sample_rate", f"must be from 1 to {MAX_RATE:,}")
        if rate * seconds * 4 > _WINDOW_BYTES:
            raise self._wrong("seconds", f"and the rate make windows of more than {_WINDOW_BYTES:,} bytes")
        return AudioSpec(rate, microseconds(seconds) * rate // microseconds(1))

    def _encoder(self, modality: Modality) -> Mapping[str, Any] | None:
        """What is said of one modality, or None where it is left out."""
        return self._take(self.values, modality, dict) if modality in self.values else None

    def _check_shared(self, video: Graph | None, audio: Graph | None) -> None:
        ports = [graph.shared for graph in (video, audio) if graph is not None and graph.shared is not None]
        if len({port.shape for port in ports}) > 1:
            raise self._wrong("shared", "must be equally wide for video and audio")

    def _check_video_shape(self, shape: tuple[int | str, ...], spec: VideoSpec) -> None:
        if (shape[1], shape[4]) != (spec.frames, 3):
            raise self._wrong("shape", f"must have {spec.frames} frames and 3 channels")
        if spec.size is not None:
            self._check_shape(shape, {2: spec.size, 3: spec.size})
        elif not all(isinstance(side, str) for side in shape[2:4]):
            raise self._wrong("shape", "must have names for height and width, as 'size' is null")

    def _check_shape(self, shape: tuple[int | str, ...], fed: Mapping[int, int]) -> None:
        """The batch is dynamic, and a dimension that is fixed is what it is fed with."""
        if not isinstance(shape[0], str):
            raise self._wrong("shape", "must begin with a name, as the batch is dynamic")
        for place, size in fed.items():
            if isinstance(shape[place], int) and shape[place] != size:
                raise self._wrong("shape", f"must have a name or {size} in place {place}, not {shape[place]}")

    def _text(self, others: Mapping[Modality, Graph | None]) -> TextGraph | None:
        if "text" not in self.values:
            return None
        values = self._take(self.values, "text", dict)
        name = self._take(values, "tokenizer", str)
        if name not in self._take(self.values, "sha256", dict):
            raise self._wrong("tokenizer", f"names {name!r}, which has no checksum")
        inputs = self._take(values, "inputs", dict)
        shared = self._output(self._take(self._take(values, "outputs", dict), "shared", dict))
        return TextGraph(
            files=self._files(values),
            tokenizer=name,
            ids=self._tokens(inputs, "ids"),
            mask=self._tokens(inputs, "mask") if "mask" in inputs else None,
            shared=shared,
            compares=self._compares(values, shared, others),
        )

    def _tokens(self, inputs: Mapping[str, Any], key: str) -> Port:
        port = self._port(self._take(inputs, key, dict))
        if port.dtype != "int64" or len(port.shape) != 2:
            raise self._wrong(key, "must be int64 with 2 dimensions")
        self._check_shape(port.shape, {})
        return port

    def _compares(
        self, values: Mapping[str, Any], shared: Port, others: Mapping[Modality, Graph | None]
    ) -> tuple[Modality, ...]:
        """The modalities of ``with``, whose ``shared`` is there and as wide as that of text."""
        names = self._take(values, "with", list)
        ports = [graph.shared for name, graph in others.items() if name in names and graph is not None]
        fits = all(port is not None and port.shape == shared.shape for port in ports)
        if not fits or not names or len(ports) != len(names):
            raise self._wrong("with", "must name encoders that have a 'shared' as wide as that of 'text'")
        return tuple(name for name in MODALITIES if name in names)

    def _files(self, values: Mapping[str, Any]) -> Mapping[str, str]:
        files = self._take(values, "files", dict)
        if not files:
            raise self._wrong("files", "must name a file for one backend at least")
        sums = self._take(self.values, "sha256", dict)
        for backend, name in files.items():
            if not isinstance(name, str) or name not in sums:
                raise self._wrong("files", f"names {name!r} for {backend!r}, which has no checksum")
        return files

    def _graph(self, values: Mapping[str, Any], dtype: str, rank: int) -> Graph:
        outputs = self._take(values, "outputs", dict)
        graph = Graph(
            files=self._files(values),
            input=self._port(self._take(values, "input", dict)),
            features=self._output(self._take(outputs, "features", dict)),
            shared=self._output(self._take(outputs, "shared", dict)) if "shared" in outputs else None,
            frames=self._dense(self._take(outputs, "frames", dict)) if "frames" in outputs else None,
        )
        if graph.input.dtype != dtype or len(graph.input.shape) != rank:
            raise self._wrong("input", f"must be {dtype} with {rank} dimensions")
        return graph

    def _port(self, values: Mapping[str, Any]) -> Port:
        shape = self._take(values, "shape", list)
        if not all(isinstance(size, int | str) and not isinstance(size, bool) for size in shape):
            raise self._wrong("shape", "must hold whole numbers and names")
        return Port(self._take(values, "name", str), self._take(values, "dtype", str), tuple(shape))

    def _output(self, values: Mapping[str, Any]) -> Port:
        dim = self._take(values, "dim", int)
        if not 1 <= dim <= _MOST_DIM:
            raise self._wrong("dim", f"must be from 1 to {_MOST_DIM:,}")
        return Port(self._take(values, "name", str), "float32", ("batch", dim))

    def _dense(self, values: Mapping[str, Any]) -> DenseRows:
        port, rows = self._output(values), self._take(values, "rows", int)
        first, period = self._number(values, "first", zero=True), self._number(values, "period")
        if not 1 <= rows <= _WINDOW_BYTES or first + (rows - 1) * period >= self._number(self.values, "seconds"):
            raise self._wrong("rows", "must be 1 or more, all of them within the window")
        dim = int(port.shape[1])
        if rows * dim * 4 > _WINDOW_BYTES:
            raise self._wrong("rows", f"and dim make windows of more than {_WINDOW_BYTES:,} bytes")
        return DenseRows(port.name, dim, rows, first, period)

    def _take(self, values: Mapping[str, Any], key: str, kind: type[T]) -> T:
        value = values.get(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self._wrong(key, "is missing" if key not in values else f"must be of type {kind.__name__}")
        return value

    def _number(self, values: Mapping[str, Any], key: str, zero: bool = False) -> float:
        value = values.get(key)
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
        if not (0 < number < 1e6 or (zero and number == 0)):
            raise self._wrong(key, f"must be a positive number{' or 0' * zero}")
        return float(number)

    def _choice(self, values: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
        value = self._take(values, key, str)
        if value not in allowed:
            raise self._wrong(key, f"must be one of {', '.join(allowed)}, not {value!r}")
        return value

    def _wrong(self, key: str, what: str) -> BundleError:
        return BundleError(f"{self.folder / MANIFEST}: {key!r} {what}; export the bundle again.")
