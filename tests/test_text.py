"""Text encoders of bundles: a tokenizer and a graph in, rows of the shared space out."""

from __future__ import annotations

import io
import json
import multiprocessing
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest
from bundles import LONGEST, WORDS, word_vectors
from test_bundle import FILES, dotted
from test_bundle_schema import SCHEMA, changed

import avfeat
from avfeat import ArgumentError, BackendError, Bundle, BundleError, Encoder
from avfeat.bundle import write_bundle
from avfeat.verify import verify


@pytest.fixture(scope="module")
def speaking(spoken: Path) -> Encoder:
    return avfeat.load(spoken, device="cpu")


def rewritten(bundle: Path, to: Path, files: dict[str, bytes]) -> Path:
    """A bundle with other files, whose checksums are right."""
    manifest = json.loads((bundle / "bundle.json").read_text("utf-8"))
    kept = {name: (bundle / name).read_bytes() for name in manifest["sha256"]}
    said = {key: value for key, value in manifest.items() if key not in ("format", "version", "sha256")}
    return write_bundle(to, said, {**kept, **files}).path


def expected(text: str, dim: int) -> np.ndarray:
    """The mean direction of the words that are known, computed without any file."""
    known = [3 + WORDS.index(word) if word in WORDS else 2 for word in text.lower().split()]
    row = word_vectors(dim)[[1, *known][:LONGEST]].sum(0)
    return row / np.linalg.norm(row)


def test_sentences_become_rows_of_the_shared_space(speaking: Encoder, clip: Path) -> None:
    texts = ["a dog barks", "", "A CAT", "犬 dog", "the sound of " * 40]
    rows = speaking.embed_text(texts)
    assert rows.dtype == np.float32
    assert rows.shape[1] == speaking.embed(clip).video_shared.shape[1]
    np.testing.assert_allclose(rows, [expected(text, rows.shape[1]) for text in texts], atol=1e-6)
    assert speaking.embed_text([]).shape == (0, rows.shape[1])
    assert speaking.bundle.text is not None and speaking.bundle.text.compares == ("video", "audio")


def test_a_row_does_not_depend_on_the_others(speaking: Encoder) -> None:
    texts = [" ".join(WORDS[: 1 + number % 7]) for number in range(130)]
    alone = np.concatenate([speaking.embed_text([text]) for text in texts[:7]])
    np.testing.assert_allclose(speaking.embed_text(iter(texts)), np.tile(alone, (19, 1))[:130], atol=1e-6)


def test_threads_share_one_tower(spoken: Path) -> None:
    with avfeat.load(spoken, device="cpu", threads=1) as encoder, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: encoder.embed_text([WORDS[number % 5]])[0], range(40)))
    for number, row in enumerate(found):
        np.testing.assert_allclose(row, expected(WORDS[number % 5], len(row)), atol=1e-6)
    with pytest.raises(ArgumentError, match="is closed"):
        encoder.embed_text(["a dog"])


@pytest.fixture(scope="module")
def apart(spoken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with the words' vectors in a file beside the graph."""
    model = onnx.load_from_string((spoken / "text.onnx").read_bytes())
    (table,) = (one for one in model.graph.initializer if one.name == "table")
    values = table.raw_data
    table.ClearField("raw_data")
    table.data_location = onnx.TensorProto.EXTERNAL
    table.external_data.add(key="location", value="text.onnx.data")
    files = {"text.onnx": model.SerializeToString(), "text.onnx.data": values}
    return rewritten(spoken, tmp_path_factory.mktemp("apart") / "bundle", files)


def test_values_may_lie_beside_the_graph(apart: Path, spoken: Path, tmp_path: Path, avfeat_command: Any) -> None:
    wanted = avfeat.load(spoken, device="cpu", threads=1).embed_text(["a dog barks"])
    with avfeat.load(apart, device="cpu", threads=1) as encoder:
        np.testing.assert_array_equal(encoder.embed_text(["a dog barks"]), wanted)
    assert all(check.ok for check in verify(Bundle.open(apart), "cpu"))
    described = json.loads(avfeat_command("info", apart, "--json", "-").out)["text"]
    assert set(described["bytes"]) == {"text.onnx", "text.onnx.data", "words.json"}
    unlisted = rewritten(spoken, tmp_path / "unlisted", {"text.onnx": (apart / "text.onnx").read_bytes()})
    (unlisted / "text.onnx.data").write_bytes((apart / "text.onnx.data").read_bytes())
    with pytest.raises(BundleError, match=r"text\.onnx: has values in another file, which no checksum covers"):
        avfeat.load(unlisted, device="cpu").embed_text(["a dog"])


def test_an_encoder_with_text_goes_to_another_process(apart: Path) -> None:
    with avfeat.load(apart, device="cpu", threads=1) as encoder:
        here = encoder.embed_text(["a dog", "the cat"])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            there = pool.apply(Encoder.embed_text, (encoder, ["a dog", "the cat"]))
    np.testing.assert_array_equal(here, there)


def test_closing_while_others_embed(spoken: Path) -> None:
    """Each call ends in its rows, or in the sentence that the encoder is closed."""
    for _ in range(3):
        encoder = avfeat.load(spoken, device="cpu", threads=1)
        begun = threading.Event()

        def embed(encoder: Encoder = encoder, begun: threading.Event = begun) -> list[np.ndarray | str]:
            found: list[np.ndarray | str] = []
            while not found or not isinstance(found[-1], str):
                try:
                    found.append(encoder.embed_text(["a dog barks"]))
                except ArgumentError as error:
                    found.append(str(error))
                begun.set()
            return found

        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(embed) for _ in range(4)]
            assert begun.wait(60)
            encoder.close()
            for one in running:
                *rows, last = one.result(60)
                assert "is closed" in last
                for row in rows:
                    np.testing.assert_allclose(row[0], expected("a dog barks", row.shape[1]), atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("a dog", r"put one into a list: embed_text\(\[text\]\)"),
        (b"a dog", "put one into a list"),
        (3, "must be a list of texts, not 3"),
        (["a dog", 3], "must be a list of texts, and holds 3"),
        (["\ud800"], "lone surrogates"),
    ],
)
def test_what_is_no_list_of_texts(speaking: Encoder, texts: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        speaking.embed_text(texts)


def test_a_bundle_without_text_says_so(encoder: Encoder) -> None:
    assert encoder.bundle.text is None
    with pytest.raises(BundleError, match=r"has no text encoder; export a network that has one, such as CLIP"):
        encoder.embed_text(["a dog"])


def test_the_package_that_is_missing_is_named(spoken: Path, monkeypatch: pytest.MonkeyPatch, clip: Path) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with avfeat.load(spoken, device="cpu") as encoder:
        assert encoder.embed(clip, end=2.0).has_video.all()
        with pytest.raises(BackendError, match=r"tokenizers is not installed; run: pip install 'avfeat\[text\]'"):
            encoder.embed_text(["a dog"])


def test_golden_sentences_are_replayed(spoken: Path, tmp_path: Path, avfeat_command: Any) -> None:
    ran = avfeat_command("verify", spoken)
    assert ran.status == 0, ran.out
    checks = [check for check in verify(Bundle.open(spoken), "cpu") if check.modality == "text"]
    assert [check.output for check in checks] == ["tokens", "shared"] and all(check.ok for check in checks)
    with np.load(spoken / "golden.npz") as golden:
        arrays = dict(golden)
    for name, output in (("ids", "tokens"), ("text_shared", "shared")):
        packed = io.BytesIO()
        np.savez(packed, **{**arrays, name: arrays[name] + arrays[name].dtype.type(1)})
        wrong = rewritten(spoken, tmp_path / name, {"golden.npz": packed.getvalue()})
        failed = [check.output for check in verify(Bundle.open(wrong), "cpu") if not check.ok]
        assert failed == [output]
    packed = io.BytesIO()
    np.savez(packed, **{key: value for key, value in arrays.items() if key != "text"})
    with pytest.raises(BundleError, match="has no 'text'"):
        verify(Bundle.open(rewritten(spoken, tmp_path / "none", {"golden.npz": packed.getvalue()})), "cpu")


def test_info_says_what_text_there_is(spoken: Path, avfeat_command: Any) -> None:
    ran = avfeat_command("info", spoken, "--json", "out.json")
    assert ran.status == 0 and "compares with video and audio" in ran.out
    text = json.loads(Path("out.json").read_text("utf-8"))["text"]
    assert text["with"] == ["video", "audio"] and text["tokenizer"] == "words.json"
    assert set(text["bytes"]) == {"text.onnx", "words.json"}
    ran = avfeat_command("info", "--json", "-")
    assert json.loads(ran.out)["text"] is None


def test_files_of_text_that_are_broken(spoken: Path, tmp_path: Path) -> None:
    broken = rewritten(spoken, tmp_path / "tokenizer", {"words.json": b"{}"})
    with pytest.raises(BundleError, match=r"words\.json: is no tokenizer that tokenizers reads"):
        avfeat.load(broken).embed_text(["a dog"])
    other = rewritten(spoken, tmp_path / "graph", {"text.onnx": (spoken / "audio.onnx").read_bytes()})
    with pytest.raises(BundleError, match=r"text\.onnx: has no 'ids', which bundle\.json names"):
        avfeat.load(other).embed_text(["a dog"])
    copied = shutil.copytree(spoken, tmp_path / "changed")
    (copied / "words.json").write_bytes(b"{}")
    with pytest.raises(BundleError, match=r"words\.json: differs from its checksum"):
        Bundle.open(copied)


WRONG = [
    (("text",), 3),
    (("text", "with"), []),
    (("text", "with"), ["text"]),
    (("text", "with"), ["video", "video"]),
    (("text", "files"), {}),
    (("text", "tokenizer"), 3),
    (("text", "inputs"), {}),
    (("text", "inputs", "ids", "dtype"), "int32"),
    (("text", "inputs", "ids", "shape"), ["n"]),
    (("text", "inputs", "mask", "shape"), [2, "words"]),
    (("text", "outputs"), {}),
    (("text", "outputs", "shared", "dim"), 0),
]
READER_ALONE = [
    (("text", "files"), {"onnx": "other.onnx"}),
    (("text", "tokenizer"), "other.json"),
    (("text", "outputs", "shared", "dim"), 7),
]


@pytest.mark.parametrize(("path", "value"), [*WRONG, *READER_ALONE], ids=dotted)
def test_what_is_wrong_of_text_is_refused(spoken: Path, tmp_path: Path, path: tuple[str, ...], value: Any) -> None:
    manifest = json.loads((spoken / "bundle.json").read_text("utf-8"))
    folder = tmp_path / "small"
    said = {key: one for key, one in manifest.items() if key not in ("format", "version", "sha256")}
    small = write_bundle(folder, said, {**FILES, "text.onnx": b"t", "words.json": b"w"}).path
    right = json.loads((small / "bundle.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert validator.is_valid(right)
    wrong = changed(right, path, value)
    (small / "bundle.json").write_text(json.dumps(wrong), "utf-8")
    with pytest.raises(BundleError, match=r"bundle\.json: .*; export the bundle again\."):
        Bundle.open(small)
    assert validator.is_valid(wrong) is ((path, value) in READER_ALONE)


def _unpadded(said: dict[str, Any]) -> None:
    said["padding"] = None


def _huge(said: dict[str, Any]) -> None:
    said["padding"]["strategy"] = {"Fixed": 2**31}


def _unknown(said: dict[str, Any]) -> None:
    said["model"]["unk_token"] = "none"


def _panics(said: dict[str, Any]) -> None:
    said["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "x"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_unpadded, "does not say where sentences are cut"),
        (_huge, r"pads at 2,147,483,648 tokens, more than 65,536"),
        (_unknown, r"cannot make tokens of a sentence \(WordLevel error"),
        (_panics, r"cannot make tokens of a sentence \(Onig"),
    ],
)
def test_tokenizers_that_cannot_be_used(spoken: Path, tmp_path: Path, change: Any, says: str) -> None:
    said = json.loads((spoken / "words.json").read_text("utf-8"))
    change(said)
    bundle = rewritten(spoken, tmp_path / "b", {"words.json": json.dumps(said).encode()})
    with pytest.raises(BundleError, match=rf"words\.json: .*{says}.*; export the bundle again\."):
        avfeat.load(bundle, device="cpu").embed_text(["zebra " + "a" * 30 + "b"])
