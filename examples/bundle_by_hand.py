"""A bundle made without avfeat, as docs/bundle.md specifies it: mean colours by region, and loudness.

python examples/bundle_by_hand.py by-hand && avfeat verify by-hand && avfeat embed video.mp4 --model by-hand
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from onnx import checker, parser
from onnx.reference import ReferenceEvaluator

VIDEO = """<ir_version: 10, opset_import: ["": 18]>
video (uint8[batch, 8, height, width, 3] frames) => (float[batch, 48] features)
<int64[1] time = {1}, int64[2] sizes = {4, 4}, float white = {255}, float[0] none = {}> {
    pixels = Cast <to = 1> (frames)
    still = ReduceMean <keepdims = 0> (pixels, time)
    planes = Transpose <perm = [0, 3, 1, 2]> (still)
    regions = Resize <mode = "linear", antialias = 1, axes = [2, 3]> (planes, none, none, sizes)
    flat = Flatten (regions)
    features = Div (flat, white)
}"""
AUDIO = """<ir_version: 10, opset_import: ["": 18]>
audio (float[batch, samples] waveform) => (float[batch, 3] features)
<int64[1] one = {1}, int64[1] time = {2}, float floor = {0.000001}> {
    power = Mul (waveform, waveform)
    channel = Unsqueeze (power, one)
    frames = AveragePool <kernel_shape = [400], strides = [400]> (channel)
    positive = Add (frames, floor)
    loudness = Log (positive)
    mean = ReduceMean <keepdims = 0> (loudness, time)
    least = ReduceMin <keepdims = 0> (loudness, time)
    most = ReduceMax <keepdims = 0> (loudness, time)
    features = Concat <axis = 1> (mean, least, most)
}"""
frames = {"name": "frames", "dtype": "uint8", "shape": ["batch", 8, "height", "width", 3]}
waveform = {"name": "waveform", "dtype": "float32", "shape": ["batch", "samples"]}
manifest = {
    **{"format": "avfeat-bundle", "version": 1},
    **{"name": "by-hand", "licence": "MIT", "seconds": 2.0, "precision": "fp32"},
    "video": {"input": frames, "fps": 4, "frames": 8, "size": 64},
    "audio": {"input": waveform, "sample_rate": 16_000},
    **{"provenance": {"data": "none: nothing is learned"}, "parity": {}},
}
rng, folder = np.random.default_rng(0), Path(sys.argv[1])
golden = {"frames": rng.integers(0, 256, (2, 8, 64, 64, 3), np.uint8)}
golden["waveform"] = rng.uniform(-1, 1, (2, 32_000)).astype(np.float32)
folder.mkdir()
for modality, text, name, dim in (("video", VIDEO, "frames", 48), ("audio", AUDIO, "waveform", 3)):
    model = parser.parse_model(text)
    checker.check_model(model, full_check=True)
    (folder / f"{modality}.onnx").write_bytes(model.SerializeToString())
    outputs = {"features": {"name": "features", "dim": dim}}
    manifest[modality] |= {"files": {"onnx": f"{modality}.onnx"}, "outputs": outputs}
    golden[f"{modality}_features"] = ReferenceEvaluator(model).run(None, {name: golden[name]})[0]
np.savez(folder / "golden.npz", **golden)
manifest["sha256"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
(folder / "bundle.json").write_text(json.dumps(manifest, indent=2), "utf-8")
