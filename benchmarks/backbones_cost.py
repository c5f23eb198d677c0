"""What a window costs in networks of others, as multiples of the default model's own graph in the same run.

    python benchmarks/backbones_cost.py [--threads 1] [--log CSV]

Networks have their published sizes and seeded random weights: what they cost does not depend on what they learned.
Image networks are shown one frame of 320 x 240 a window, so that frames can be multiplied; a window of
sound is 2 s. Each line alternates with the default model's, and takes the median.
"""

from __future__ import annotations

import argparse
import csv
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
import transformers as hf
from numpy.typing import NDArray

import avfeat
from avfeat.export.backbones.bundle import raw_graphs
from avfeat.export.backbones.window import choose_window
from avfeat.export.formats.onnx import OUTPUTS, write_onnx
from avfeat.training.backbones.registry import open_audio, open_video

LOG = Path(__file__).parent.parent / "docs" / "backbones-cost.csv"
VIDEO = (
    "efficientnet_lite0",
    "timm:resnet18?weights=none",
    "timm:vit_tiny_patch16_224?weights=none",
    "timm:convnext_atto?weights=none",
    "torchvision:resnet50?weights=none",
    "torchvision:r3d_18?weights=none",
    "torchvision:s3d?weights=none",
)
SMALL = {"hidden_size": 384, "num_attention_heads": 6}
SIGLIP = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
FULL: dict[str, Callable[[], tuple[Any, Any]]] = {
    "openai/clip-vit-base-patch32": lambda: (hf.CLIPModel(hf.CLIPConfig()), hf.CLIPImageProcessor()),
    "google/siglip-base-patch16-224": lambda: (
        hf.SiglipModel(hf.SiglipConfig(vision_config=SIGLIP, text_config=SIGLIP)),
        hf.SiglipImageProcessor(size={"height": 224, "width": 224}),
    ),
    "facebook/dinov2-small": lambda: (
        hf.Dinov2Model(hf.Dinov2Config(**SMALL, image_size=518, patch_size=14)),
        hf.BitImageProcessor(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}, resample=3),
    ),
    "openai/whisper-tiny": lambda: (hf.WhisperModel(hf.WhisperConfig()), hf.WhisperFeatureExtractor()),
    "MIT/ast-finetuned-audioset-10-10-0.4593": lambda: (hf.ASTModel(hf.ASTConfig()), hf.ASTFeatureExtractor()),
    "facebook/wav2vec2-base": lambda: (
        hf.Wav2Vec2Model(hf.Wav2Vec2Config()),
        hf.Wav2Vec2FeatureExtractor(do_normalize=True),
    ),
}
AUDIO = ("openai/whisper-tiny", "MIT/ast-finetuned-audioset-10-10-0.4593", "facebook/wav2vec2-base")
REPEATS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mn04", type=Path, help="Weights of mn04_as.")
    parser.add_argument("--log", type=Path, default=LOG)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with avfeat.load() as encoder:
        own = encoder.bundle
    with tempfile.TemporaryDirectory() as folder, asked.log.open("w", newline="") as file:
        log = csv.writer(file, lineterminator="\n")
        log.writerow(("spec", "modality", "features", "parameters_m", "frames", "ms", "of_default"))
        todo = [(spec, spec, "video") for spec in VIDEO]
        if asked.mn04 is not None:
            todo.append((f"mn04_as:{asked.mn04}", "mn04_as", "audio"))
        todo += [(f"transformers:{name}", name, "audio" if name in AUDIO else "video") for name in FULL]
        for spec, name, modality in todo:
            if name in FULL:
                spec = f"transformers:{saved(name, Path(folder) / name.replace('/', '_'))}"
                name = f"transformers:{name}"
            base = ort_session(own.file(modality, "onnx").read_bytes(), asked.threads)
            log.writerow(
                (name.removesuffix("?weights=none"), modality, *costs(spec, modality, base, asked.threads))
            )
            file.flush()
            print(name, flush=True)
            gc.collect()


def saved(name: str, folder: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, processor = FULL[name]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def costs(spec: str, modality: str, base: ort.InferenceSession, threads: int) -> tuple[object, ...]:
    video, audio = (open_video(spec), None) if modality == "video" else (None, open_audio(spec))
    window = choose_window(video, audio, None, 1 if video is not None and video.fps is None else None)
    ((network, example),) = raw_graphs(window, video, audio, "mean").values()
    parameters = sum(one.numel() for one in network.parameters())
    with torch.inference_mode():
        found = network(torch.from_numpy(given(modality, window, 320)[:1]))
    model = write_onnx(network, example, OUTPUTS[: len(found)])
    session = ort_session(model.SerializeToString(), threads)
    theirs, ours = given(modality, window, 320), own_input(base)
    times = [(timed(session, theirs), timed(base, ours)) for _ in range(REPEATS)]
    cost = median(one for one, _ in times)
    frames = window.video.frames if window.video is not None else ""
    ratio = cost / median(other for _, other in times)
    return found[0].shape[1], f"{parameters / 1e6:.1f}", frames, f"{1000 * cost:.1f}", f"{ratio:.2f}"


def given(modality: str, window: Any, width: int) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    if modality == "video":
        return rng.integers(0, 256, (1, window.video.frames, width * 3 // 4, width, 3), dtype=np.uint8)
    return rng.normal(0, 0.1, (1, round(2 * window.audio.rate))).astype(np.float32)


def own_input(session: ort.InferenceSession) -> NDArray[Any]:
    """A window of the default model, of frames of the same size."""
    rng = np.random.default_rng(0)
    (port,) = session.get_inputs()
    if port.name == "frames":
        return rng.integers(0, 256, (1, port.shape[1], 240, 320, 3), dtype=np.uint8)
    return rng.normal(0, 0.1, (1, 64_000)).astype(np.float32)


def ort_session(model: bytes, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def timed(session: ort.InferenceSession, given: NDArray[Any]) -> float:
    (port,) = session.get_inputs()
    before = time.perf_counter()
    session.run(None, {port.name: given})
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
