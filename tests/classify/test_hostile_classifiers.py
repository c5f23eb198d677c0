"""Files that are no classifiers, or bad ones: one sentence each, before anything of theirs is run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from labelled_clips import Made
from onnx import TensorProto, helper, numpy_helper

from avfeat import OutputError, load_classifier
from avfeat.classify.card import KEY

OTHER = "its graph is not the one that its description tells of|ONNX Runtime does not take its graph"

Change = Callable[[onnx.ModelProto], None]


def card(**values: Any) -> Change:
    """Another description."""

    def change(model: onnx.ModelProto) -> None:
        found = {**json.loads(model.metadata_props[0].value), **values}
        helper.set_model_props(model, {KEY: json.dumps(found)})

    return change


def text(value: str) -> Change:
    return lambda model: helper.set_model_props(model, {KEY: value})


def weights(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def changed(model: onnx.ModelProto) -> None:
        (place,) = (row for row, tensor in enumerate(model.graph.initializer) if tensor.name == name)
        tensor = model.graph.initializer[place]
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))

    return changed


def nan(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[0] = np.nan
    return values


def elsewhere(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], ["x"], body=body))


def foreign(model: onnx.ModelProto) -> None:
    model.graph.node[-1].domain = "com.microsoft"


def function(model: onnx.ModelProto) -> None:
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("own", "Softmax", ["x"], ["y"], [], opsets))


def node(operator: str) -> Change:
    return lambda model: setattr(model.graph.node[0], "op_type", operator)


def bomb(model: onnx.ModelProto) -> None:
    for number in range(60):
        name = f"double{number}"
        model.graph.node.append(helper.make_node("Concat", ["video", "video"], [name], axis=0))


def no_output(model: onnx.ModelProto) -> None:
    del model.graph.output[0]


def claims(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [2**40]


HOSTILE: dict[str, tuple[Change, str]] = {
    "no metadata": (lambda model: model.ClearField("metadata_props"), "it does not say what it is"),
    "no json": (text("{"), "Expecting property name"),
    "deep json": (text("[" * 100_000), "."),
    "a list": (text("[]"), "its format is not avfeat-classifier"),
    "of another format": (card(format="avfeat-bundle"), "its format is not"),
    "newer": (card(version=2), "its version is 2, and this avfeat reads 1"),
    "no labels": (card(labels=None), "its labels are no list of names"),
    "one label": (card(labels=["Cat"]), "it has 1 labels"),
    "a label twice": (card(labels=["Cat", "Cat"]), "it has 2 labels, which are not two or more different"),
    "other labels": (card(labels=["a", "b", "c"]), OTHER),
    "other dims": (card(dims={"video": 7, "audio": 512}), OTHER),
    "huge dims": (card(dims={"video": 2**60, "audio": 512}), "its dims are no whole numbers"),
    "no dims": (card(dims={"video": 1408}), "its dims are not those that its probes need"),
    "other probes": (card(probes=["text"]), "its probes are not some of"),
    "a probe twice": (card(probes=["av", "av"]), "it has a probe twice"),
    "a list of probes": (card(probes=[["av"]]), "its probes are not some of"),
    "no bundle": (card(bundle="x"), "its bundle is no SHA-256"),
    "no figures": (card(figures=None), "figures are not there"),
    "NaN": (weights("video_weights", nan), "what it computes are no probabilities"),
    "NaN temperature": (weights("av_file_temperature", lambda old: old * np.nan), "no probabilities"),
    "another shape": (weights("audio_weights", lambda old: old[1:]), OTHER),
    "other rows": (weights("video_intercepts", lambda old: np.tile(old, (7, 1))), OTHER),
    "values elsewhere": (elsewhere, OTHER),
    "a loop": (loop, "graphs or tensors within nodes"),
    "another domain": (foreign, "operators of other domains"),
    "a function": (function, "it has a function"),
    "another operator": (node("RandomNormalLike"), OTHER),
    "that doubles": (bomb, OTHER),
    "without an output": (no_output, OTHER),
    "claims of size": (claims, OTHER),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_a_sentence(name: str, made: Made, tmp_path: Path) -> None:
    model = onnx.load(made.fitted.path)
    change, words = HOSTILE[name]
    change(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(OutputError, match=rf"model\.onnx: is no classifier \(.*({words})") as caught:
        load_classifier(path)
    assert str(caught.value).endswith("); make one with: avfeat classify fit DATA -o model.onnx")


def test_what_is_no_file_of_a_bounded_size_is_refused(made: Made, tmp_path: Path) -> None:
    huge = tmp_path / "huge.onnx"
    with huge.open("wb") as file:
        file.write(made.fitted.path.read_bytes())
        file.truncate(2**40)
    with pytest.raises(OutputError, match=r"huge\.onnx: cannot be read \(larger than 268,435,456 bytes\)"):
        load_classifier(huge)
    with pytest.raises(OutputError, match="cannot be read"):
        load_classifier(tmp_path)
    with pytest.raises(OutputError, match="cannot be read"):
        load_classifier(tmp_path / "none.onnx")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.onnx")
        with pytest.raises(OutputError, match="not an ordinary file"):
            load_classifier(tmp_path / "pipe.onnx")


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_part_of_a_file_is_refused(part: float, made: Made, tmp_path: Path) -> None:
    content = made.fitted.path.read_bytes()
    path = tmp_path / "model.onnx"
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(OutputError, match="is no classifier"):
        load_classifier(path)
