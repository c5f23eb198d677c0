"""A classifier as one ONNX file: six operators, its description in the metadata, checked before it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.backends.onnx_file import Node
from avfeat.classify.calibration import softmax
from avfeat.classify.card import KEY, Card
from avfeat.classify.graph import OUTPUTS, nodes_of, open_graph, output_names, sides_of
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

    def temperature(self, what: str) -> float:
        """Of what is one of ``OUTPUTS``."""
        return self.file_temperature if what == "file" else self.window_temperature


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
    dims = {**card.dims, **dict.fromkeys(output_names(card), len(card.labels))}
    ports = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", dim]) for name, dim in dims.items()
    }
    graph = helper.make_graph(
        [_node(node) for node in nodes_of(card)],
        "classifier",
        [ports[name] for name in card.dims],
        [ports[name] for name in output_names(card)],
        [_tensor(name, value) for probe in card.probes for name, value in _values(probe, probes[probe], card)],
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
        taken = np.concatenate([rows[side] for side in sides_of(probe)], axis=1)
        wanted = softmax(made.probe.scores(taken, len(card.labels)) / made.temperature(what))
        apart = float(np.abs(got - wanted).max())
        if not apart <= _CLOSE:
            raise AvfeatError(f"The classifier's {name} is {apart:.1e} off in ONNX Runtime; please report this.")


def _node(node: Node) -> Any:
    from onnx import helper

    axis: dict[str, Any] = {"axis": 1} if node.operator in ("Concat", "Softmax") else {}
    return helper.make_node(node.operator, node.inputs, node.outputs, **axis)


def _tensor(name: str, value: NDArray[Any]) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(value, np.float32), name)


def _values(name: str, made: CalibratedProbe, card: Card) -> Iterator[tuple[str, NDArray[Any]]]:
    """What the nodes of a probe take, as ``shapes_of`` says."""
    known = made.probe.regression
    weights = np.zeros((len(made.probe.mean), len(card.labels)))
    weights[:, known.classes] = known.weights
    intercepts = np.full(len(card.labels), _NEVER)
    intercepts[known.classes] = known.intercepts
    yield f"{name}_mean", made.probe.mean
    yield f"{name}_scale", made.probe.scale
    yield f"{name}_weights", weights
    yield f"{name}_intercepts", intercepts
    for what in OUTPUTS:
        yield f"{name}_{what}_temperature", np.array(made.temperature(what))
