from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from avfeat.export.precision.stored import float_weights, store_weights

RNG = np.random.default_rng(0)
CONV = (
    RNG.normal(size=(40, 3, 3, 3)).astype(np.float32)
    * np.geomspace(1e-3, 1e2, 40, dtype=np.float32)[:, None, None, None]
)
LINEAR = RNG.normal(size=(64, 40)).astype(np.float32)
MATRIX = RNG.normal(size=(64, 32)).astype(np.float32)
SMALL = RNG.normal(size=(32, 8)).astype(np.float32)


def graph() -> onnx.ModelProto:
    """A convolution, a linear layer, a product, and one that is too small to be stored otherwise."""
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "linear"], ["d"], transB=1),
        helper.make_node("MatMul", ["d", "matrix"], ["e"]),
        helper.make_node("MatMul", ["e", "small"], ["y"]),
    ]
    values = {"conv": CONV, "linear": LINEAR, "matrix": MATRIX, "small": SMALL}
    return helper.make_model(
        helper.make_graph(
            nodes,
            "stored",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8])],
            [numpy_helper.from_array(value, name) for name, value in values.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )


def run(model: onnx.ModelProto, x: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {"x": x})[0]
    return found


def test_weights_of_layers_are_found_with_the_axis_of_their_output_channels() -> None:
    assert float_weights(graph()) == {"conv": 0, "linear": 0, "matrix": -1}


@pytest.mark.parametrize(("coarse", "levels"), [((), 32767), (("conv", "linear", "matrix"), 127)])
def test_each_weight_is_within_half_a_level_of_its_channel(coarse: tuple[str, ...], levels: int) -> None:
    stored = {one.name: numpy_helper.to_array(one) for one in store_weights(graph(), coarse).graph.initializer}
    for name, values, others in (("conv", CONV, (1, 2, 3)), ("linear", LINEAR, (1,)), ("matrix", MATRIX, (0,))):
        found = stored[f"{name}.levels"].astype(np.float64) * stored[f"{name}.scale"]
        largest = np.abs(values).max(axis=others, keepdims=True)
        assert (np.abs(found - values) <= largest * (0.5 / levels + 1e-6)).all()
        assert np.abs(stored[f"{name}.levels"]).max() == levels


def test_the_network_computes_what_it_did() -> None:
    x = RNG.normal(size=(5, 3, 8, 8)).astype(np.float32)
    wanted = run(graph(), x)
    scale = np.abs(wanted).max()
    assert np.abs(run(store_weights(graph(), ()), x) - wanted).max() < 1e-4 * scale
    assert 1e-4 * scale < np.abs(run(store_weights(graph(), ("linear",)), x) - wanted).max() < 2e-2 * scale


def test_the_file_is_smaller_and_valid() -> None:
    model = store_weights(graph(), ("conv", "linear", "matrix"))
    onnx.checker.check_model(model, full_check=True)
    assert model.ByteSize() < 0.5 * graph().ByteSize()


def test_a_channel_of_zeros_stays_one() -> None:
    model = graph()
    (linear,) = [one for one in model.graph.initializer if one.name == "linear"]
    values = LINEAR.copy()
    values[3] = 0
    linear.CopyFrom(numpy_helper.from_array(values, "linear"))
    stored = {one.name: numpy_helper.to_array(one) for one in store_weights(model, ("linear",)).graph.initializer}
    assert not stored["linear.levels"][3].any()
    assert np.isfinite(stored["linear.scale"]).all()
