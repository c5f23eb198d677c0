from __future__ import annotations

import itertools
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exporting import SPECS, made_model, made_windows

from avfeat import Bundle, BundleError, load
from avfeat.backends import Backend
from avfeat.bundle import METADATA, Modality, Precision
from avfeat.export.bundle import ExportedBundle, export_bundle
from avfeat.export.card import first_of
from avfeat.export.errors import ExportError
from avfeat.export.formats import PRECISIONS
from avfeat.export.media import ClipWindows
from avfeat.export.model import Model
from avfeat.export.parity import gate as parity
from avfeat.export.parity.gate import lines
from avfeat.export.parity.probes import probes
from avfeat.export.parity.reference import Reference
from avfeat.export.precision import int8
from avfeat.verify import DISTANCE_LIMITS, verify

Made = tuple[ExportedBundle, Model]
MODALITIES: tuple[Modality, ...] = ("video", "audio")
CASES: list[tuple[str, Precision]] = [("stretch", "fp32"), ("crop", "fp32"), ("stretch", "fp16"), ("crop", "int8")]


@pytest.fixture(scope="session", params=CASES, ids=["-".join(case) for case in CASES])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    aspect, precision = request.param
    spec = SPECS[aspect]
    windows = made_windows(spec)
    model = made_model(spec, windows)
    forms: list[Backend] = [form for form in PRECISIONS if precision in PRECISIONS[form]]
    path = tmp_path_factory.mktemp("bundles") / "bundle"
    return export_bundle(path, model, windows, forms, precision), model


def test_stages_are_named_as_they_begin(tmp_path: Path) -> None:
    spec = SPECS["stretch"]
    windows, stages = made_windows(spec), []
    model = made_model(spec, windows)
    export_bundle(tmp_path / "bundle", model, windows, ("onnx", "torchscript"), follow=stages.append)
    assert stages == [
        "the networks themselves, on the clips",
        "writing video onnx fp32",
        "writing video torchscript fp32",
        "writing audio onnx fp32",
        "writing audio torchscript fp32",
        "trying the files out",
    ]


def test_every_format_gives_what_the_networks_give(made: Made) -> None:
    exported, model = made
    spec, bundle = model.spec, exported.bundle
    rng = np.random.default_rng(5)
    reference = Reference(model.pair, spec)
    seen = made_windows(spec, clips=3, each=1)
    for form in bundle.formats:
        with load(bundle.path, device="cpu", backend=form, threads=1) as encoder:
            for batch, height, width in ((1, 32, 32), (3, 16, 130), (7, 45, 33)):
                frames = rng.integers(0, 256, (batch, spec.frames, height, width, 3), dtype=np.uint8)
                assert encoder._sessions["video"].run(frames).shared.shape == (batch, 32)
            found = encoder._sessions["video"].run(seen.frames), encoder._sessions["audio"].run(seen.waveform)
        for modality, rows, batch in zip(MODALITIES, found, (seen.frames, seen.waveform), strict=True):
            expected = reference.run(modality, batch)
            for name in ("features", "shared"):
                scale = bundle.scale(modality, name)
                assert scale is not None
                error = np.linalg.norm(getattr(rows, name) - getattr(expected, name), axis=1).max() / scale
                assert error <= DISTANCE_LIMITS[bundle.precision], (form, modality, name)


@pytest.mark.parametrize("samples", [1600, 8000, 24_001])
def test_sound_of_any_length(made: Made, samples: int) -> None:
    exported, _ = made
    wave = (0.1 * np.random.default_rng(1).standard_normal((2, samples))).astype(np.float32)
    for form in exported.bundle.formats:
        with load(exported.bundle.path, device="cpu", backend=form, threads=1) as encoder:
            together, alone = encoder._sessions["audio"].run(wave), encoder._sessions["audio"].run(wave[1:])
        np.testing.assert_allclose(together.features[1], alone.features[0], rtol=1e-2, atol=1e-2)


def test_files_embed_media_alike(made: Made, clip: Path) -> None:
    exported, _ = made
    bundle = exported.bundle
    results = []
    for form in bundle.formats:
        with load(bundle.path, device="cpu", backend=form) as encoder:
            results.append(encoder.embed(clip))
    assert len(results[0]) == 11
    for other in results[1:]:
        np.testing.assert_allclose(other.video, results[0].video, atol=5e-2 if bundle.precision == "fp16" else 1e-3)
        np.testing.assert_allclose(other.audio, results[0].audio, atol=5e-2 if bundle.precision == "fp16" else 1e-3)


def test_bundle_says_what_it_is(made: Made) -> None:
    exported, model = made
    bundle = exported.bundle
    assert bundle == Bundle.open(bundle.path)
    assert (bundle.video.aspect, bundle.video.size, bundle.seconds) == (model.spec.aspect, 32, 0.5)
    parity = bundle.parity
    assert set(parity["distances"]) == {f"{m}_{o}" for m in MODALITIES for o in ("features", "shared")}
    kinds = {(row["form"], row["modality"], row["output"], row["inputs"]) for row in parity["rows"]}
    assert len(kinds) == len(bundle.formats) * 2 * 2 * 3 == len(parity["rows"])
    card = (bundle.path / "MODEL_CARD.md").read_text("utf-8")
    assert "untrained" in card and card.count("| cpu |") == len(parity["rows"])
    bounded = [row for row in exported.rows if np.isfinite(row.limit)]
    assert bounded and card.count(f" | {DISTANCE_LIMITS[bundle.precision]:g} | ") == len(bounded)
    said = bundle.provenance.get("layers", {})
    assert set(said) == (set() if bundle.precision == "fp32" else set(MODALITIES))
    what = {"fp16": "stages in fp16", "int8": "layers in int8"}.get(bundle.precision, "")
    assert all(text.endswith(what) for text in said.values()) and said == exported.layers


def test_verify_holds_and_measures_distance(made: Made) -> None:
    exported, _ = made
    for form in exported.bundle.formats:
        checks = verify(exported.bundle, "cpu", form)
        assert len(checks) == 4 and all(check.ok for check in checks)
        assert all(check.distance is not None and check.distance <= check.distance_limit for check in checks)


def test_a_cuda_that_cannot_be_used_is_left_out_with_a_warning(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    exported, model = made
    monkeypatch.setattr(parity, "devices", lambda form: ["cpu", "cuda"])
    windows = made_windows(model.spec, clips=3, each=1)
    expected = parity.Expected.from_reference(
        Reference(model.pair, model.spec), probes(windows, model.spec)[:6], windows.clips
    )
    with pytest.warns(UserWarning, match="cannot use CUDA here"):
        rows = parity.measure(exported.bundle, expected)
    assert {row.device for row in rows} == {"cpu"}


def test_distance_alone_makes_a_check_fail(made: Made) -> None:
    check = verify(made[0].bundle, "cpu", made[0].bundle.formats[0])[0]
    assert check.distance_limit is not None and not replace(check, distance=check.distance_limit * 1.01).ok


def test_each_file_describes_itself(made: Made) -> None:
    exported, _ = made
    for modality, takes in zip(MODALITIES, ("frames", "waveform"), strict=True):
        for form in exported.bundle.formats:
            path = exported.bundle.file(modality, form)
            said = json.loads(_metadata(path, form))
            assert said["input"]["name"] == takes and said["outputs"]["shared"]["dim"] == 32
            assert said["modality"] == modality and said["licence"] == "MIT" and said["trained"] is False
            assert said["precision"] == exported.bundle.precision and said["seconds"] == 0.5


def _metadata(path: Path, form: Backend) -> str | bytes:
    extra: dict[str, str | bytes] = {METADATA: ""}
    if form == "torchscript":
        torch.jit.load(str(path), _extra_files=extra)
    elif form == "pt2":
        torch.export.load(str(path), extra_files=extra)
    else:
        return {item.key: item.value for item in onnx.load(str(path)).metadata_props}["avfeat"]
    return extra[METADATA]


def test_files_do_not_say_where_they_were_made(made: Made) -> None:
    """Exporters note the stack of every operator: its files and lines, with the folders of this machine."""
    exported, _ = made
    folders = (str(Path(__file__).parents[2]), str(Path(torch.__file__).parent), "site-packages", '.py"')
    for modality, form in itertools.product(MODALITIES, exported.bundle.formats):
        held = _unpacked(exported.bundle.file(modality, form))
        assert not [name for name in folders if name.encode() in held], (modality, form)


def _unpacked(path: Path) -> bytes:
    """All that a file holds; programs of PyTorch are archives, in part compressed."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_onnx_is_one_file_of_standard_operators(made: Made) -> None:
    exported, _ = made
    for modality in MODALITIES:
        model = onnx.load(str(exported.bundle.file(modality, "onnx")))
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        dims = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        assert isinstance(dims[0], str)
        kinds = {node.op_type for node in model.graph.node}
        halves = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
        assert ("QuantizeLinear" in kinds) == (exported.bundle.precision == "int8")
        assert bool(halves) == (exported.bundle.precision == "fp16")


def test_quantisation_leaves_the_spectrogram_alone(made: Made) -> None:
    exported, _ = made
    if exported.bundle.precision != "int8":
        pytest.skip("this bundle is not quantised")
    model = onnx.load(str(exported.bundle.file("audio", "onnx")))
    front = {tensor.name: tensor.data_type for tensor in model.graph.initializer if "log_mel" in tensor.name}
    assert front and onnx.TensorProto.INT8 not in front.values()
    quantised = {value for node in model.graph.node if "QuantizeLinear" in node.op_type for value in node.input}
    assert not quantised & front.keys()


def test_existing_target_is_kept(tmp_path: Path, model: Model, windows: ClipWindows) -> None:
    mine = tmp_path / "b" / "mine"
    mine.parent.mkdir()
    mine.touch()
    with pytest.raises(BundleError, match="exists already"):
        export_bundle(mine.parent, model, windows)
    assert list(mine.parent.iterdir()) == [mine]


def test_networks_that_give_one_vector_for_all_are_refused(
    tmp_path: Path, model: Model, windows: ClipWindows
) -> None:
    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.ones(len(x), 256), torch.ones(len(x), 32)

    pair = made_model(model.spec, windows).pair
    pair.video = Constant()  # type: ignore[assignment]
    with pytest.raises(ExportError, match="are all the same"):
        export_bundle(tmp_path / "b", Model(pair, model.spec, model.weights_origin), windows)


def test_the_most_sensitive_layers_stay_in_float() -> None:
    rng = np.random.default_rng(0)
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4, 8, 8])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    # The second layer multiplies by a thousand what the first one's rounding has left.
    scales = {"w0": 1.0, "w1": 1000.0, "w2": 1e-3}
    weights = [
        onnx.numpy_helper.from_array((scale * rng.standard_normal((4, 4, 1, 1))).astype(np.float32), name)
        for name, scale in scales.items()
    ]
    values = ["x", "a", "b", "y"]
    nodes = [
        onnx.helper.make_node("Conv", [values[k], f"w{k}"], [values[k + 1]], name=f"layer{k}") for k in range(3)
    ]
    graph = onnx.helper.make_graph(nodes, "g", [x], [y], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    inputs = [rng.standard_normal((1, 4, 8, 8)).astype(np.float32) for _ in range(4)]
    tried: list[int] = []

    def error(file: bytes) -> float:
        found = onnx.load_from_string(file)
        quantised = {
            node.name for node in found.graph.node if node.op_type == "Conv" and "DequantizeLinear" in node.input[1]
        }
        tried.append(len(quantised))
        return 1.0 if "layer1" in quantised else 0.1 * len(quantised)

    done = int8.quantise(model, "x", inputs, error, 0.5, error)
    assert (done.layers, done.kept) == (3, 1) and tried[:4] == [3, 1, 1, 1]
    floats = [node.name for node in done.model.graph.node if node.op_type == "Conv" and node.input[1] == "w1"]
    assert floats == ["layer1"]
    with pytest.raises(ExportError, match="No layer"):
        int8.quantise(model, "x", inputs, lambda _: 1.0, 0.5, lambda _: 1.0)


def test_the_table_names_what_is_wrong(made: Made) -> None:
    rows = [replace(made[0].rows[0], distance=1.0, note="why"), made[0].rows[1]]
    head, first, second = lines(rows)
    assert head.split()[:3] == ["file", "device", "output"]
    assert first.endswith("FAIL why") and second.endswith("ok")


def test_the_card_says_how_weights_came_about(model: Model) -> None:
    def first(**changes: object) -> str:
        origin = replace(model.weights_origin, **{"trained": True, **changes})
        return first_of(origin)[0]

    assert first(step=7).startswith("Trained for 7 steps")
    assert first(step=0).startswith("Put together from trained parts")
    assert "untrained" in first(trained=False, step=0)
