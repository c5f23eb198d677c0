from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from avfeat.export.formats.onnx import finish_model


def test_operator_sets_that_no_node_is_of_are_not_imported() -> None:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ports[:1], ports[1:])
    sets = [helper.make_opsetid(domain, version) for domain, version in (("", 18), ("com.microsoft", 1))]
    model = helper.make_model(graph, opset_imports=sets)
    kept = onnx.load_from_string(finish_model(model, {"name": "n"})).opset_import
    assert [(entry.domain, entry.version) for entry in kept] == [("", 18)]
