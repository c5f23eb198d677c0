"""The graph of a classifier: the one that is written, and the only one that is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avfeat.backends.onnx import OnnxFile
from avfeat.backends.onnx_file import Node, read_graph
from avfeat.bundle import MODALITIES, Port
from avfeat.classify.card import Card, not_a_classifier
from avfeat.errors import BundleError

OUTPUTS = ("file", "window")
"""What a probe gives probabilities for, each with a temperature of its own."""


def sides_of(probe: str) -> tuple[str, ...]:
    """The modalities that a probe goes by: those of ``av``, or itself."""
    return MODALITIES if probe == "av" else (probe,)


def output_names(card: Card) -> list[str]:
    """What a classifier's graph gives: probabilities of each probe, for files and for windows."""
    return [f"{probe}_{what}" for probe in card.probes for what in OUTPUTS]


def nodes_of(card: Card) -> tuple[Node, ...]:
    """Each probe: standardise, weigh, divide by the temperature, softmax."""
    return tuple(node for probe in card.probes for node in _nodes(probe))


def _nodes(probe: str) -> Iterator[Node]:
    begin = probe
    if probe == "av":
        begin = "av_joined"
        yield Node("Concat", MODALITIES, (begin,))
    yield Node("Sub", (begin, f"{probe}_mean"), (f"{probe}_centred",))
    yield Node("Div", (f"{probe}_centred", f"{probe}_scale"), (f"{probe}_scaled",))
    yield Node("MatMul", (f"{probe}_scaled", f"{probe}_weights"), (f"{probe}_weighed",))
    yield Node("Add", (f"{probe}_weighed", f"{probe}_intercepts"), (f"{probe}_logits",))
    for what in OUTPUTS:
        yield Node("Div", (f"{probe}_logits", f"{probe}_{what}_temperature"), (f"{probe}_{what}_logits",))
        yield Node("Softmax", (f"{probe}_{what}_logits",), (f"{probe}_{what}",))


def shapes_of(card: Card) -> dict[str, tuple[int, ...]]:
    """The shapes of the values that the nodes take."""
    found: dict[str, tuple[int, ...]] = {}
    for probe in card.probes:
        width, classes = sum(card.dims[side] for side in sides_of(probe)), len(card.labels)
        found |= {f"{probe}_mean": (width,), f"{probe}_scale": (width,)}
        found |= {f"{probe}_weights": (width, classes), f"{probe}_intercepts": (classes,)}
        found |= {f"{probe}_{what}_temperature": () for what in OUTPUTS}
    return found


def open_graph(path: Path, card: Card) -> OnnxFile:
    """The graph of a classifier, if it is the one that its description tells of, to the node and the shape.

    Another one could take any time and memory.

    Raises:
        OutputError: it is another, or cannot be read.
    """
    try:
        nodes, shapes = read_graph(path)
        if nodes != nodes_of(card) or shapes != shapes_of(card):
            raise ValueError("its graph is not the one that its description tells of")
        inputs = [Port(name, "float32", ("batch", dim)) for name, dim in card.dims.items()]
        outputs = [Port(name, "float32", ("batch", len(card.labels))) for name in output_names(card)]
        return OnnxFile(path, inputs, outputs, "cpu", 1)
    except (OSError, ValueError) as error:
        raise not_a_classifier(path, error) from error
    except BundleError as error:
        raise not_a_classifier(path, "ONNX Runtime does not take its graph") from error
