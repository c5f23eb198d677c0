"""``avfeat info``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from avfeat.bundle import DATA_SUFFIX, FORMAT, VERSION, Bundle, Graph, TextGraph, find_bundle
from avfeat.cli.options import BundleArgument
from avfeat.cli.printing import JsonOption, facts, write_json
from avfeat.media import AudioSpec, VideoSpec


def info(bundle: BundleArgument = None, json: JsonOption = None) -> None:
    """Describe a bundle: what it takes, what it gives, where it comes from."""
    opened = Bundle.open(find_bundle(bundle))
    described = describe(opened)
    if json is not None:
        write_json(described, json)
    if json != "-":
        facts(_lines(opened, described))


def describe(bundle: Bundle) -> dict[str, Any]:
    """A bundle as JSON values with stable keys."""
    return {
        "path": str(bundle.path),
        "format": FORMAT,
        "version": VERSION,
        "name": bundle.name,
        "licence": bundle.licence,
        "trained": bundle.trained,
        "sha256": bundle.sha256,
        "seconds": bundle.seconds,
        "precision": bundle.precision,
        "formats": list(bundle.formats),
        "video": _encoder(bundle, bundle.video, bundle.video_graph),
        "audio": _encoder(bundle, bundle.audio, bundle.audio_graph),
        "text": _text(bundle),
        "provenance": dict(bundle.provenance),
        "parity": dict(bundle.parity),
    }


def _encoder(bundle: Bundle, spec: VideoSpec | AudioSpec | None, graph: Graph | None) -> dict[str, Any] | None:
    """What one modality takes and gives; None where the bundle leaves it out."""
    if spec is None or graph is None:
        return None
    features, shared = graph.widths
    return {
        **{key: value for key, value in asdict(spec).items() if key != "limits"},
        "files": dict(graph.files),
        "bytes": {name: (bundle.path / name).stat().st_size for name in _names(bundle, graph)},
        "input": asdict(graph.input),
        "features": features,
        "shared": shared or None,
        "dense": None if graph.frames is None else asdict(graph.frames),
    }


def _names(bundle: Bundle, graph: Graph | TextGraph) -> Iterator[str]:
    """The files of an encoder, and those that hold values of theirs."""
    for name in graph.files.values():
        yield name
        if name + DATA_SUFFIX in bundle.listed:
            yield name + DATA_SUFFIX


def _text(bundle: Bundle) -> dict[str, Any] | None:
    """What the encoder of sentences takes and gives; None where there is none."""
    graph = bundle.text
    if graph is None:
        return None
    names = [*_names(bundle, graph), graph.tokenizer]
    return {
        "with": list(graph.compares),
        "files": dict(graph.files),
        "tokenizer": graph.tokenizer,
        "bytes": {name: (bundle.path / name).stat().st_size for name in names},
        "inputs": [asdict(port) for port in graph.inputs],
        "shared": graph.shared.shape[1],
    }


def _lines(bundle: Bundle, described: dict[str, Any]) -> dict[str, str]:
    video, audio = bundle.video, bundle.audio
    parts = [*bundle.graphs, *(["text"] if bundle.text is not None else [])]
    size = sum(sum(described[part]["bytes"].values()) for part in parts)
    trained = "trained" if bundle.trained else "random weights: embeddings are not meaningful"
    return {
        "bundle": str(bundle.path),
        "name": bundle.name,
        "weights": f"{trained}; licence {bundle.licence}",
        "window": f"{bundle.seconds:g} s",
        "video": "none"
        if video is None
        else f"{video.frames} frames at {video.fps:g}/s, {_size(video)} -> {_widths(described['video'])}",
        "audio": "none"
        if audio is None
        else f"{audio.samples} samples at {audio.rate} Hz, mono -> {_widths(described['audio'])}",
        "text": "none"
        if bundle.text is None
        else f"shared {described['text']['shared']}, compares with {' and '.join(bundle.text.compares)}",
        "files": f"{', '.join(bundle.formats)}, {bundle.precision}, {size / 1e6:.1f} MB",
        "parity": _parity(bundle),
        "data": str(bundle.provenance.get("data", "not stated")),
        "sha256": bundle.sha256,
    }


def _size(video: VideoSpec) -> str:
    return "of their own size" if video.size is None else f"{video.size}x{video.size} ({video.aspect})"


def _widths(encoder: Mapping[str, Any]) -> str:
    shared = "no shared space" if encoder["shared"] is None else f"shared {encoder['shared']}"
    dense = encoder["dense"]
    rows = "" if dense is None else f", {dense['rows']} dense rows of {dense['dim']}"
    return f"features {encoder['features']}, {shared}{rows}"


def _parity(bundle: Bundle) -> str:
    """How far the files are from the networks they were made of, on real media."""
    stated = bundle.parity.get("rows")
    rows = [row for row in stated if isinstance(row, Mapping)] if isinstance(stated, list) else []
    found = [row.get("distance") for row in rows if row.get("inputs") == "media"]
    numbers = [value for value in found if isinstance(value, int | float)]
    return f"within {max(numbers):.1e} of the distance between clips" if numbers else "not stated"
