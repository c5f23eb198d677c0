"""How fast and how right each format is, side by side in one run.

python benchmarks/export.py speed [untrained:mini untrained:reference] [--threads 1,2] [--only onnx] [--runs 15]
python benchmarks/export.py knn RUN [--videos 1000]

Sources are those of ``avfeat export``. ``speed``: milliseconds a window (median of interleaved runs) and bytes on
disk. ``knn``: accuracy of 20 nearest neighbours over clips of a synthetic dataset, one window each, of fp32,
int8, fp16, TorchScript and .pt2. Bundles are kept in SCRATCH (``--scratch``) and exported once.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from avfeat.backends import open_session
from avfeat.bundle import Bundle, Modality, Precision
from avfeat.export.bundle import export_bundle
from avfeat.export.formats import choose_formats
from avfeat.export.media import ClipWindows, read_windows
from avfeat.export.model import open_model, spec_of
from avfeat.export.precision.graphs import raw_networks

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
VARIANTS = {
    "torch eager": None,
    "torchscript": ("torchscript", "fp32"),
    "pt2": ("pt2", "fp32"),
    "pt2 compiled": ("pt2", "fp32"),
    "onnx fp32": ("onnx", "fp32"),
    "onnx fp16": ("onnx", "fp16"),
    "onnx int8": ("onnx", "int8"),
}
Runner = Callable[[], Any]
Scratch = Annotated[Path, typer.Option(help="Where bundles are kept.")]


def bundle_of(scratch: Path, source: str, precision: Precision) -> Bundle:
    """All formats of one precision, exported the first time."""
    path = scratch / f"{_name(source)}-{precision}"
    if not path.exists():
        formats = {"fp32": "onnx,torchscript,pt2", "fp16": "onnx,pt2", "int8": "onnx"}[precision]
        windows = read_windows(None, spec_of(source))
        export_bundle(path, open_model(source, windows), windows, choose_formats(formats, precision)[0], precision)
    return Bundle.open(path)


def _name(source: str) -> str:
    return re.sub(r"[^\w.]+", "-", source)


def runner(scratch: Path, source: str, variant: str, modality: Modality, threads: int, batch: Any) -> Runner:
    """Computes one window."""
    spec = VARIANTS[variant]
    if spec is None:
        network = _eager(source, modality)
        return lambda: network(torch.from_numpy(batch))
    bundle = bundle_of(scratch, source, spec[1])
    if variant == "pt2 compiled":
        program = torch.compile(torch.export.load(str(bundle.file(modality, "pt2"))).module())
        return lambda: program(torch.from_numpy(batch))
    session = open_session(bundle, modality, spec[0], "cpu", threads)
    return lambda: session.run(batch)


def _eager(source: str, modality: Modality) -> Any:
    spec = spec_of(source)
    model = open_model(source, read_windows(None, spec, clips=2))
    return raw_networks(model.pair, spec, "fp32")[modality == "audio"]


@app.command()
def speed(
    sources: Annotated[list[str] | None, typer.Argument()] = None,
    threads: str = "1,2",
    only: str = "",
    runs: int = 15,
    scratch: Scratch = Path("runs/export"),
) -> None:
    """Milliseconds a window; each round runs every variant once, so that a busy machine is unfair to none."""
    for source in sources or ["untrained:mini", "untrained:reference"]:
        spec = spec_of(source)
        rng = np.random.default_rng(0)
        inputs: dict[Modality, Any] = {
            "video": rng.integers(0, 256, (1, spec.frames, spec.size, spec.size, 3), dtype=np.uint8),
            "audio": rng.standard_normal((1, round(spec.seconds * spec.sample_rate))).astype(np.float32),
        }
        for count in map(int, threads.split(",")):
            torch.set_num_threads(count)
            for modality, batch in inputs.items():
                names = [name for name in VARIANTS if only in name]
                take = {name: runner(scratch, source, name, modality, count, batch) for name in names}
                _print(source, modality, count, _times(take, runs))
    for path in sorted(scratch.iterdir()):
        sizes = (f"{file.name} {file.stat().st_size / 1e6:.1f} MB" for file in sorted(path.glob("*o.*")))
        print(f"{path.name}: {', '.join(sizes)}")


def _times(take: dict[str, Runner], runs: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in take}
    with torch.inference_mode():
        for number in range(runs + 3):
            for name, run in take.items():
                begun = time.perf_counter()
                run()
                if number >= 3:
                    times[name].append((time.perf_counter() - begun) * 1000)
    return {name: statistics.median(found) for name, found in times.items()}


def _print(source: str, modality: str, threads: int, found: dict[str, float]) -> None:
    base = found.get("onnx fp32", next(iter(found.values())))
    for name, milliseconds in found.items():
        print(
            f"{source} {modality} {threads} thread(s) {name:12} {milliseconds:8.2f} ms, "
            f"{base / milliseconds:5.2f} times onnx fp32"
        )


@app.command()
def knn(source: str, videos: int = 1000, neighbours: int = 20, scratch: Scratch = Path("runs/export")) -> None:
    """Accuracy of nearest neighbours (cosine, all other clips), by format and precision."""
    spec = spec_of(source)
    windows = read_windows(f"synthetic:ave?videos={videos}&seed=2", spec, clips=videos, each=1)
    labels = _labels(videos)[windows.clips]
    for variant in ("onnx fp32", "onnx int8", "onnx fp16", "torchscript", "pt2"):
        form, precision = VARIANTS[variant] or ("onnx", "fp32")
        bundle = bundle_of(scratch, source, precision)
        rows = {modality: _features(bundle, modality, form, windows) for modality in ("video", "audio")}
        rows["both"] = np.concatenate(list(rows.values()), axis=1)
        scores = ", ".join(f"{name} {_accuracy(found, labels, neighbours):.4f}" for name, found in rows.items())
        print(f"{variant:12} {scores} of {len(windows)} clips", flush=True)


def _labels(videos: int) -> np.ndarray:
    from avfeat.world import plan

    names = [video.category for video in plan(videos, 2)]
    return np.unique(names, return_inverse=True)[1]


def _features(bundle: Bundle, modality: Modality, form: str, windows: ClipWindows) -> np.ndarray:
    """Of unit length."""
    session = open_session(bundle, modality, form, "cpu", torch.get_num_threads())
    rows = windows.frames if modality == "video" else windows.waveform
    features = np.concatenate([session.run(row[None]).features for row in rows])
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def _accuracy(features: np.ndarray, labels: np.ndarray, k: int) -> float:
    similarity = features @ features.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = labels[np.argsort(-similarity, axis=1)[:, :k]]
    votes = np.apply_along_axis(np.bincount, 1, nearest, minlength=labels.max() + 1)
    return float((votes.argmax(1) == labels).mean())


if __name__ == "__main__":
    sys.exit(app())
