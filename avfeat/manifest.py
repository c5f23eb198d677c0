"""The reader of ``bundle.json``: the contract between whoever wrote a bundle and whoever runs it.

Readers ignore keys that they do not know; a change that cannot be ignored raises ``VERSION``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from avfeat.dense import DenseRows
from avfeat.errors import BundleError
from avfeat.graphs import MAX_SIZE, MIN_SIZE, MODALITIES, Graph, Manifest, Modality, Port, Precision, TextGraph
from avfeat.grid import microseconds
from avfeat.json_values import MANIFEST, JsonValues
from avfeat.media import Aspect, AudioSpec, FrameLimits, VideoSpec
from avfeat.plain import check_depth, sha256_of

FORMAT = "avfeat-bundle"
VERSION = 1
MAX_RATE = 768_000
"""Samples a second: twice what any recorder makes."""

SHORTEST = 0.1
"""Seconds of a window, of which graphs of audio need so much."""

_WINDOW_BYTES, _MOST_DIM = 2**30, 2**20
_DEEPEST = 64


def read_manifest(folder: Path, raw: bytes) -> Manifest:
    """``bundle.json`` of the bundle in ``folder``, checked, and the files that it names with it.

    Args:
        folder: of the bundle.
        raw: contents of the file.

    Raises:
        BundleError: it is foreign, newer, incomplete, or a checksum differs.
    """
    reader = _Reader(folder, _parse(folder, raw))
    reader.check_version()
    reader.check_files()
    return reader.manifest()


def is_plain(name: str) -> bool:
    """Whether a name is one of a file in the bundle's own folder."""
    return Path(name).name == name and name.isprintable() and "\\" not in name


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
class _Reader(JsonValues):
    """``bundle.json`` as parsed, and the checks on it."""

    values: Mapping[str, Any]

    def check_version(self) -> None:
        version = self.values.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise self.wrong("version", "must be a positive whole number")
        if version > VERSION:
            raise BundleError(
                f"{self.folder}: has format version {version}, this avfeat reads up to {VERSION}; "
                "upgrade with: pip install --upgrade avfeat"
            )

    def check_files(self) -> None:
        sums = self.take(self.values, "sha256", dict)
        for name, expected in sums.items():
            if not is_plain(name):
                raise self.wrong("sha256", f"names {name!r}, which is not a plain file name")
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

    def manifest(self) -> Manifest:
        seconds = self.number(self.values, "seconds")
        if seconds < SHORTEST:
            raise self.wrong("seconds", f"must be {SHORTEST} or more")
        video, audio = self._encoder("video"), self._encoder("audio")
        if video is None and audio is None:
            raise self.wrong("video", "and 'audio' are missing, and one of them must be there")
        precision = self.choice(self.values, "precision", get_args(Precision))
        frames = None if video is None else self._video_spec(video, seconds)
        samples = None if audio is None else self._audio_spec(audio, seconds)
        video_graph = None if video is None else self._graph(video, "uint8", 5)
        audio_graph = None if audio is None else self._graph(audio, "float32", 2)
        self._check_shared(video_graph, audio_graph)
        if frames is not None and video_graph is not None:
            self._check_video_shape(video_graph.input.shape, frames)
        if samples is not None and audio_graph is not None:
            self._check_shape(audio_graph.input.shape, {1: samples.samples})
        return Manifest(
            name=self.take(self.values, "name", str),
            licence=self.take(self.values, "licence", str),
            trained=self.take({"trained": True, **self.values}, "trained", bool),
            seconds=seconds,
            video=frames,
            audio=samples,
            video_graph=video_graph,
            audio_graph=audio_graph,
            precision=cast(Precision, precision),
            provenance=self.take(self.values, "provenance", dict),
            parity=self.take(self.values, "parity", dict),
            listed=frozenset(self.take(self.values, "sha256", dict)),
            text=self._text({"video": video_graph, "audio": audio_graph}),
            motion=self.take({"motion": True, **(video or {})}, "motion", bool),
        )

    def _video_spec(self, video: Mapping[str, Any], seconds: float) -> VideoSpec:
        fps = self.number(video, "fps")
        frames = self.take(video, "frames", int)
        if not 1 <= frames <= _WINDOW_BYTES or abs(frames - fps * seconds) > 1e-6:
            raise self.wrong("frames", f"must be fps * seconds ({fps} * {seconds})")
        if "size" in video and video["size"] is None:
            # As large as they come, as far as graphs take it, and windows of one kind can be held.
            limits = FrameLimits(MIN_SIZE, MAX_SIZE, _WINDOW_BYTES // (3 * frames))
            return VideoSpec(fps, frames, None, limits=limits)
        size = self.take(video, "size", int)
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise self.wrong("size", f"must be from {MIN_SIZE} to {MAX_SIZE}")
        if frames * size * size * 3 > _WINDOW_BYTES:
            raise self.wrong("frames", f"and the size make windows of more than {_WINDOW_BYTES:,} bytes")
        aspect = self.choice({"aspect": "stretch", **video}, "aspect", get_args(Aspect))
        return VideoSpec(fps, frames, size, cast(Aspect, aspect))

    def _audio_spec(self, audio: Mapping[str, Any], seconds: float) -> AudioSpec:
        rate = self.take(audio, "sample_rate", int)
        if not 1 <= rate <= MAX_RATE:
            raise self.wrong("sample_rate", f"must be from 1 to {MAX_RATE:,}")
        if rate * seconds * 4 > _WINDOW_BYTES:
            raise self.wrong("seconds", f"and the rate make windows of more than {_WINDOW_BYTES:,} bytes")
        return AudioSpec(rate, microseconds(seconds) * rate // microseconds(1))

    def _encoder(self, modality: Modality) -> Mapping[str, Any] | None:
        """What is said of one modality, or None where it is left out."""
        return self.take(self.values, modality, dict) if modality in self.values else None

    def _check_shared(self, video: Graph | None, audio: Graph | None) -> None:
        ports = [graph.shared for graph in (video, audio) if graph is not None and graph.shared is not None]
        if len({port.shape for port in ports}) > 1:
            raise self.wrong("shared", "must be equally wide for video and audio")

    def _check_video_shape(self, shape: tuple[int | str, ...], spec: VideoSpec) -> None:
        if (shape[1], shape[4]) != (spec.frames, 3):
            raise self.wrong("shape", f"must have {spec.frames} frames and 3 channels")
        if spec.size is not None:
            self._check_shape(shape, {2: spec.size, 3: spec.size})
        elif not all(isinstance(side, str) for side in shape[2:4]):
            raise self.wrong("shape", "must have names for height and width, as 'size' is null")

    def _check_shape(self, shape: tuple[int | str, ...], fed: Mapping[int, int]) -> None:
        """The batch is dynamic, and a dimension that is fixed is what it is fed with."""
        if not isinstance(shape[0], str):
            raise self.wrong("shape", "must begin with a name, as the batch is dynamic")
        for place, size in fed.items():
            if isinstance(shape[place], int) and shape[place] != size:
                raise self.wrong("shape", f"must have a name or {size} in place {place}, not {shape[place]}")

    def _text(self, others: Mapping[Modality, Graph | None]) -> TextGraph | None:
        if "text" not in self.values:
            return None
        values = self.take(self.values, "text", dict)
        name = self.take(values, "tokenizer", str)
        if name not in self.take(self.values, "sha256", dict):
            raise self.wrong("tokenizer", f"names {name!r}, which has no checksum")
        inputs = self.take(values, "inputs", dict)
        shared = self._output(self.take(self.take(values, "outputs", dict), "shared", dict))
        return TextGraph(
            files=self._files(values),
            tokenizer=name,
            ids=self._tokens(inputs, "ids"),
            mask=self._tokens(inputs, "mask") if "mask" in inputs else None,
            shared=shared,
            compares=self._compares(values, shared, others),
        )

    def _tokens(self, inputs: Mapping[str, Any], key: str) -> Port:
        port = self._port(self.take(inputs, key, dict))
        if port.dtype != "int64" or len(port.shape) != 2:
            raise self.wrong(key, "must be int64 with 2 dimensions")
        self._check_shape(port.shape, {})
        return port

    def _compares(
        self, values: Mapping[str, Any], shared: Port, others: Mapping[Modality, Graph | None]
    ) -> tuple[Modality, ...]:
        """The modalities of ``with``, whose ``shared`` is there and as wide as that of text."""
        names = self.take(values, "with", list)
        ports = [graph.shared for name, graph in others.items() if name in names and graph is not None]
        fits = all(port is not None and port.shape == shared.shape for port in ports)
        if not fits or not names or len(ports) != len(names):
            raise self.wrong("with", "must name encoders that have a 'shared' as wide as that of 'text'")
        return tuple(name for name in MODALITIES if name in names)

    def _files(self, values: Mapping[str, Any]) -> Mapping[str, str]:
        files = self.take(values, "files", dict)
        if not files:
            raise self.wrong("files", "must name a file for one backend at least")
        sums = self.take(self.values, "sha256", dict)
        for backend, name in files.items():
            if not isinstance(name, str) or name not in sums:
                raise self.wrong("files", f"names {name!r} for {backend!r}, which has no checksum")
        return files

    def _graph(self, values: Mapping[str, Any], dtype: str, rank: int) -> Graph:
        outputs = self.take(values, "outputs", dict)
        graph = Graph(
            files=self._files(values),
            input=self._port(self.take(values, "input", dict)),
            features=self._output(self.take(outputs, "features", dict)),
            shared=self._output(self.take(outputs, "shared", dict)) if "shared" in outputs else None,
            frames=self._dense(self.take(outputs, "frames", dict)) if "frames" in outputs else None,
        )
        if graph.input.dtype != dtype or len(graph.input.shape) != rank:
            raise self.wrong("input", f"must be {dtype} with {rank} dimensions")
        return graph

    def _port(self, values: Mapping[str, Any]) -> Port:
        shape = self.take(values, "shape", list)
        if not all(isinstance(size, int | str) and not isinstance(size, bool) for size in shape):
            raise self.wrong("shape", "must hold whole numbers and names")
        return Port(self.take(values, "name", str), self.take(values, "dtype", str), tuple(shape))

    def _output(self, values: Mapping[str, Any]) -> Port:
        dim = self.take(values, "dim", int)
        if not 1 <= dim <= _MOST_DIM:
            raise self.wrong("dim", f"must be from 1 to {_MOST_DIM:,}")
        return Port(self.take(values, "name", str), "float32", ("batch", dim))

    def _dense(self, values: Mapping[str, Any]) -> DenseRows:
        port, rows = self._output(values), self.take(values, "rows", int)
        first, period = self.number(values, "first", zero=True), self.number(values, "period")
        if not 1 <= rows <= _WINDOW_BYTES or first + (rows - 1) * period >= self.number(self.values, "seconds"):
            raise self.wrong("rows", "must be 1 or more, all of them within the window")
        dim = int(port.shape[1])
        if rows * dim * 4 > _WINDOW_BYTES:
            raise self.wrong("rows", f"and dim make windows of more than {_WINDOW_BYTES:,} bytes")
        return DenseRows(port.name, dim, rows, first, period)
