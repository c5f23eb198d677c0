from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import avfeat
from avfeat import AvfeatError, Bundle, BundleError
from avfeat.bundle import default_bundle, find_bundle
from avfeat.evaluation.random_init import AUTO, make_random, untrained_bundle
from avfeat.evaluation.random_weights import with_random_weights

WIDTH = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_random(Bundle.open(default_bundle()), tmp_path_factory.mktemp("random") / "bundle")


def initialisers(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(path)).graph.initializer}


def test_it_has_the_shapes_of_the_other_and_says_what_it_is(made: Bundle) -> None:
    trained = Bundle.open(default_bundle())
    assert not made.trained and made.name == f"{trained.name}-random-init"
    assert (made.video, made.audio, made.seconds) == (trained.video, trained.audio, trained.seconds)
    assert made.provenance == {"networks of": trained.name, "sha256": trained.sha256, "seed": 0}
    assert {path.name for path in made.path.iterdir()} == {"bundle.json", "video.onnx", "audio.onnx"}
    with pytest.raises(BundleError, match=r"no golden\.npz"):
        made.golden()


def test_features_are_finite_of_about_unit_scale_and_tell_clips_apart(
    made: Bundle, clip: Path, other_clip: Path
) -> None:
    with avfeat.load(made.path, device="cpu") as encoder:
        one, other = encoder.embed(clip), encoder.embed(other_clip)
    for name in ("video", "audio"):
        first, second = getattr(one, name)[0], getattr(other, name)[0]
        assert np.isfinite(first).all() and 0.2 < first.std() < 20
        assert np.linalg.norm(first - second) > 0.1 * np.linalg.norm(first)


def test_nothing_trained_is_left_and_what_is_no_weight_stays(made: Bundle) -> None:
    for modality in ("video", "audio"):
        name = f"{modality}.onnx"
        before, after = initialisers(default_bundle() / name), initialisers(made.path / name)
        kept = [key for key in after if key in before]
        assert all(np.array_equal(before[key], after[key]) for key in kept)
        trained = [key for key in kept if key.startswith("encoder.")]
        assert all(key.endswith(("pixels.mean", "pixels.std")) for key in trained)
        assert sum(after[key].size for key in after) >= 0.99 * sum(before[key].size for key in before)
    assert {"log_mel.basis", "log_mel.mel"} <= set(after)


def test_a_seed_gives_the_same_weights_again() -> None:
    bundle = Bundle.open(default_bundle())
    batch = np.random.default_rng(0).uniform(-0.5, 0.5, (2, bundle.audio.rate)).astype(np.float32)
    path, name = bundle.file("audio", "onnx"), bundle.audio_graph.input.name
    first, again, other = (with_random_weights(path, name, batch, seed) for seed in (0, 0, 1))
    assert first == again != other


def network(path: Path, trained: str = "encoder.last") -> Path:
    """A few layers of every kind, the last with a number of its own."""
    rng = np.random.default_rng(0)
    arrays = {
        "encoder.a": rng.standard_normal((WIDTH, 4)).astype(np.float32),
        "encoder.b": rng.standard_normal((5, 4)).astype(np.float32),
        trained: np.full(5, 3, np.float32),
        "zero": np.zeros(5, np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "encoder.a"], ["p"]),
        helper.make_node("Relu", ["p"], ["q"]),
        helper.make_node("Transpose", ["encoder.b"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["q", "turned"], ["r"]),
        helper.make_node("BatchNormalization", ["r", trained, "zero", "zero", trained], ["s"]),
        helper.make_node("Mul", ["s", trained], ["y"])
        if trained == "encoder.used"
        else helper.make_node("Relu", ["s"], ["y"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("x", WIDTH), ("y", 5))
    ]
    values = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "few", ports[:1], ports[1:], values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return path


def test_layers_of_every_kind_are_drawn_and_calibrated(tmp_path: Path) -> None:
    batch = 7 * np.random.default_rng(1).standard_normal((500, WIDTH)).astype(np.float32) + 4
    content = with_random_weights(network(tmp_path / "few.onnx"), "x", batch, 0)
    graph = onnx.load_from_string(content).graph
    assert not [tensor.name for tensor in graph.initializer if tensor.name.startswith("encoder.")]
    graph.output[0].name = "s"
    del graph.node[-1]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": batch})
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-3)


def test_a_trained_number_that_is_no_weight_of_a_layer_is_refused(tmp_path: Path) -> None:
    path = network(tmp_path / "few.onnx", "encoder.used")
    with pytest.raises(
        BundleError, match=r"few\.onnx: encoder\.used is no weight of a layer .* --random-init BUNDLE"
    ):
        with_random_weights(path, "x", np.ones((3, WIDTH), np.float32), 0)


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(BundleError, match=r"text\.onnx: cannot be read as ONNX"):
        with_random_weights(tmp_path / "text.onnx", "x", np.ones((3, WIDTH), np.float32), 0)


def test_integers_and_a_missing_package_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AvfeatError, match="drawn in fp32, and this bundle is int8; give --random-init"):
        make_random(Bundle.open(find_bundle("base-int8")), tmp_path / "made")
    monkeypatch.delitem(sys.modules, "avfeat.evaluation.random_weights")
    monkeypatch.delitem(sys.modules, "avfeat.evaluation.random_statistics")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(AvfeatError, match=r"^onnx is not installed; run: pip install 'avfeat\[eval\]'$"):
        make_random(Bundle.open(default_bundle()), tmp_path / "made")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_the_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Bundle) -> None:
    monkeypatch.chdir(tmp_path)
    Path("auto").symlink_to(made.path)
    with untrained_bundle(AUTO, Bundle.open(default_bundle())) as path:
        assert path == AUTO
