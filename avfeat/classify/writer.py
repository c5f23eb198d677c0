"""A classifier as one ONNX file: six operators, its description in the metadata, checked before it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.classify.calibration import softmax
from avfeat.classify.card import KEY, MODALITIES, Card
from avfeat.classify.model import open_graph, output_names
from avfeat.errors import AvfeatError
from avfeat.evaluation.probe import Probe
from avfeat.extras import extra_packages
from avfeat.version import __version__
from avfeat.writers.atomic import atomic

OPSET, IR = 18, 10
_CLOSE = 1e-3
_NEVER = -1e30
"""Logit of a class that a probe does not know: its probability is 0."""


@dataclass(frozen=True)
class CalibratedProbe:
    """A probe, with the temperature of its logits for whole files and for windows."""

    probe: Probe
    file_temperature: float
    window_temperature: float


def write_classifier(
    path: Path, card: Card, probes: Mapping[str, CalibratedProbe], rows: Mapping[str, NDArray[np.float32]]
) -> None:
    """Write a classifier atomically, if ONNX Runtime computes with it what the probes do.

    Its inputs are ``video`` and ``audio``, float32 ``(batch, d)`` as far as the probes need them; for each probe
    there are outputs ``NAME_file`` and ``NAME_window``, float32 ``(batch, classes)``: calibrated probabilities.

    Args:
        path: of the file.
        card: its description.
        probes: by their names in ``card``.
        rows: features ``(n, d)`` by modality, on which it is checked.

    Raises:
        AvfeatError: it computes something else.
        BackendError: the package ``onnx`` is not installed.
        OutputError: it cannot be written.
    """
    with extra_packages("eval"):
        from onnx import TensorProto, checker, helper
    classes = len(card.labels)
    inputs = [_port(name, card.dims[name]) for name in MODALITIES if name in card.dims]
    nodes, values, outputs = [], [], []
    for name in card.probes:
        made, own = _nodes(name, probes[name], classes)
        nodes += made
        values += own
        outputs += [_port(f"{name}_{what}", classes) for what in ("file", "window")]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        values,
    )
    model = helper.make_model(
        graph,
        ir_version=IR,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="avfeat",
        producer_version=__version__,
    )
    helper.set_model_props(model, {KEY: card.to_json()})
    checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    _check(content, card, probes, rows)
    with atomic(path) as file:
        file.write(content)


def _check(
    content: bytes, card: Card, probes: Mapping[str, CalibratedProbe], rows: Mapping[str, NDArray[np.float32]]
) -> None:
    """Raise unless probabilities are to 1e-3 those of the probes in float64."""
    with TemporaryDirectory(prefix="avfeat-") as folder:
        path = Path(folder) / "classifier.onnx"
        path.write_bytes(content)
        found = open_graph(path, card).run([rows[name] for name in card.dims])
    for name, got in zip(output_names(card), found, strict=True):
        probe, _, what = name.partition("_")
        made = probes[probe]
        taken = np.concatenate([rows[side] for side in (MODALITIES if probe == "av" else (probe,))], axis=1)
        temperature = made.file_temperature if what == "file" else made.window_temperature
        wanted = softmax(made.probe.scores(taken, len(card.labels)) / temperature)
        apart = float(np.abs(got - wanted).max())
        if not apart <= _CLOSE:
            raise AvfeatError(f"The classifier's {name} is {apart:.1e} off in ONNX Runtime; please report this.")


def _port(name: str, dim: int) -> tuple[str, list[str | int]]:
    return name, ["batch", dim]


def _nodes(name: str, made: CalibratedProbe, classes: int) -> tuple[list[Any], list[Any]]:
    """Standardise, weigh, divide by the temperature, softmax: nodes, and the values that they take."""
    from onnx import helper, numpy_helper

    known = made.probe.regression
    weights = np.zeros((len(made.probe.mean), classes), np.float32)
    weights[:, known.classes] = known.weights
    intercepts = np.full(classes, _NEVER, np.float32)
    intercepts[known.classes] = known.intercepts
    values = {
        "mean": made.probe.mean,
        "scale": made.probe.scale,
        "weights": weights,
        "intercepts": intercepts,
        "file_temperature": np.array(made.file_temperature),
        "window_temperature": np.array(made.window_temperature),
    }
    # What a node takes from another, or from the values of this probe.
    at = {key: f"{name}_{key}" for key in (*values, "joined", "centred", "scaled", "weighed", "logits")}
    nodes = []
    begin = name
    if name == "av":
        nodes.append(helper.make_node("Concat", list(MODALITIES), [at["joined"]], axis=1))
        begin = at["joined"]
    nodes += [
        helper.make_node("Sub", [begin, at["mean"]], [at["centred"]]),
        helper.make_node("Div", [at["centred"], at["scale"]], [at["scaled"]]),
        helper.make_node("MatMul", [at["scaled"], at["weights"]], [at["weighed"]]),
        helper.make_node("Add", [at["weighed"], at["intercepts"]], [at["logits"]]),
    ]
    for what in ("file", "window"):
        cooled = f"{name}_{what}_logits"
        nodes.append(helper.make_node("Div", [at["logits"], at[f"{what}_temperature"]], [cooled]))
        nodes.append(helper.make_node("Softmax", [cooled], [f"{name}_{what}"], axis=1))
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), at[key]) for key, value in values.items()]
    return nodes, tensors
