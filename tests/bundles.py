"""Bundles made of the one that ships."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tokenizers
from numpy.typing import NDArray

from avfeat.bundle import MODALITIES, Modality, default_bundle, write_bundle

INPUTS: dict[Modality, str] = {"video": "frames", "audio": "waveform"}


def said_to_be(path: Path, trained: bool) -> Path:
    """The default bundle, said to be trained or not."""
    return _changed(path, {"trained": trained})


def without_parity(path: Path) -> Path:
    """The default bundle as the first ones were: it does not say how far clips are apart."""
    return _changed(path, {"parity": {}})


def of_own_size(path: Path) -> Path:
    """The default bundle, given frames as they were decoded: its graph takes any size."""
    manifest = json.loads((default_bundle() / "bundle.json").read_text("utf-8"))
    return _changed(path, {"video": {**manifest["video"], "size": None}})


def of_one(path: Path, modality: Modality, shared: bool = True) -> Path:
    """The default bundle's encoder of one modality alone; with or without its output ``shared``."""
    source = default_bundle()
    manifest = json.loads((source / "bundle.json").read_text("utf-8"))
    others = {one for one in MODALITIES if one != modality} | {"format", "version", "sha256"}
    kept = {key: value for key, value in manifest.items() if key not in others} | {"name": f"{modality}-only"}
    outputs = kept[modality]["outputs"]
    if not shared:
        del outputs["shared"]
    with np.load(source / "golden.npz") as golden:
        arrays = {name: golden[name] for name in (INPUTS[modality], *(f"{modality}_{name}" for name in outputs))}
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    graph = kept[modality]["files"]["onnx"]
    files = {graph: (source / graph).read_bytes(), "golden.npz": packed.getvalue(), "MODEL_CARD.md": b"Of one."}
    return write_bundle(path, kept, files).path


WORDS = ("a", "dog", "barks", "cat", "red", "blue", "low", "high", "sound", "of", "the")
LONGEST = 8
"""Tokens of a sentence for ``with_text``, with the one that begins it."""


def text_files(dim: int) -> dict[str, bytes]:
    """A text encoder written by hand: the mean of its words' vectors, and a tokenizer that knows ``WORDS``."""
    table = word_vectors(dim)
    ints, floats = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
    ports = [onnx.helper.make_tensor_value_info(name, ints, ["n", "words"]) for name in ("ids", "mask")]
    nodes = [
        onnx.helper.make_node("Gather", ["table", "ids"], ["vectors"]),
        onnx.helper.make_node("Cast", ["mask"], ["there"], to=floats),
        onnx.helper.make_node("Unsqueeze", ["there", "last"], ["weights"]),
        onnx.helper.make_node("Mul", ["vectors", "weights"], ["kept"]),
        onnx.helper.make_node("ReduceSum", ["kept", "second"], ["sums"], keepdims=0),
        onnx.helper.make_node("LpNormalization", ["sums"], ["row"], axis=1, p=2),
    ]
    constants = {"table": table, "last": np.array([2]), "second": np.array([1])}
    graph = onnx.helper.make_graph(
        nodes,
        "text",
        ports,
        [onnx.helper.make_tensor_value_info("row", floats, ["n", dim])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    return {"text.onnx": model.SerializeToString(), "words.json": _tokenizer().to_str().encode()}


def word_vectors(dim: int) -> NDArray[np.float32]:
    """Of padding, the beginning, what is not known, and ``WORDS``."""
    return np.random.default_rng(0).standard_normal((3 + len(WORDS), dim)).astype(np.float32)


def _tokenizer() -> tokenizers.Tokenizer:
    numbers = {word: number for number, word in enumerate(("[PAD]", "[CLS]", "[UNK]", *WORDS))}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.Lowercase()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing("[CLS] $A", special_tokens=[("[CLS]", 1)])
    made.enable_truncation(LONGEST)
    made.enable_padding()
    return made


def with_text(path: Path) -> Path:
    """The default bundle with ``text_files``, whose space, it says, is that of video and audio."""
    source = default_bundle()
    manifest = json.loads((source / "bundle.json").read_text("utf-8"))
    files = {name: (source / name).read_bytes() for name in manifest["sha256"]}
    dim = manifest["video"]["outputs"]["shared"]["dim"]
    port = {"dtype": "int64", "shape": ["n", "words"]}
    text = {
        "with": ["video", "audio"],
        "files": {"onnx": "text.onnx"},
        "tokenizer": "words.json",
        "inputs": {"ids": {"name": "ids", **port}, "mask": {"name": "mask", **port}},
        "outputs": {"shared": {"name": "row", "dim": dim}},
    }
    with np.load(io.BytesIO(files["golden.npz"])) as golden:
        arrays = dict(golden)
    vectors = word_vectors(dim)
    rows = np.stack([vectors[1] + vectors[3] + vectors[4], vectors[1] + vectors[2]])
    arrays |= {
        "text": np.array(["A dog", "Straße"]),
        "ids": np.array([[1, 3, 4], [1, 2, 0]]),
        "mask": np.array([[1, 1, 1], [1, 1, 0]]),
        "text_shared": rows / np.linalg.norm(rows, axis=1, keepdims=True),
    }
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    kept = {key: value for key, value in manifest.items() if key not in ("format", "version", "sha256")}
    files |= {**text_files(dim), "golden.npz": packed.getvalue()}
    return write_bundle(path, {**kept, "text": text}, files).path


def _changed(path: Path, changes: dict[str, Any]) -> Path:
    manifest = json.loads((default_bundle() / "bundle.json").read_text("utf-8"))
    files = {name: (default_bundle() / name).read_bytes() for name in manifest["sha256"]}
    kept = {key: value for key, value in manifest.items() if key not in ("format", "version", "sha256")}
    return write_bundle(path, {**kept, **changes}, files).path
