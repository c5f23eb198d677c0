"""Networks of others as bundles, each held against its own library's pipeline: a line for each in a log.

    python benchmarks/backbones.py [--log CSV] [SPEC ...]

Networks of timm and torchvision get seeded random weights (``?weights=none``), those of transformers are small ones
that are saved as their library saves them. What is measured is parity.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "export" / "backbones"))
from foreign import SIGHTS, SOUNDS, save_network

from avfeat.errors import AvfeatError
from avfeat.export.backbones import choose_text, export_backbones, open_audio, open_video

VIDEO = (
    *(
        f"timm:{name}?weights=none"
        for name in ("resnet18", "vit_tiny_patch16_224", "efficientnet_lite0", "convnext_atto")
    ),
    *(f"torchvision:{name}?weights=none" for name in ("resnet18", "squeezenet1_1", "r3d_18", "s3d")),
)
LOG = Path(__file__).parent.parent / "docs" / "backbones.csv"
HEAD = ("spec", "modality", "features", "shared", "inputs", "distance", "bound")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*", metavar="SPEC")
    parser.add_argument("--log", type=Path, default=LOG)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    failed = 0
    with tempfile.TemporaryDirectory() as folder, asked.log.open("w", newline="") as file:
        log = csv.writer(file, lineterminator="\n")
        log.writerow(HEAD)
        specs = [(spec, "video") for spec in asked.specs or VIDEO]
        if not asked.specs:
            specs += [
                (f"transformers:{save_network(kind, Path(folder) / f'{kind}-{modality}')}", modality)
                for modality, kinds in (("video", SIGHTS), ("audio", SOUNDS))
                for kind in kinds
            ]
        for number, (spec, modality) in enumerate(specs):
            try:
                log.writerows(tried(spec, modality, Path(folder) / str(number)))
            except AvfeatError as error:
                failed += 1
                log.writerow((named(spec), modality, "", "", str(error)))
            file.flush()
            print(named(spec), flush=True)
    return 1 if failed else 0


def tried(spec: str, modality: str, path: Path) -> Iterator[tuple[object, ...]]:
    networks = (open_video(spec), None) if modality == "video" else (None, open_audio(spec))
    done = export_backbones(path, *networks, text=choose_text(*networks, None))
    graph = next(iter(done.bundle.graphs.values()))
    features, shared = graph.widths
    for row in done.rows:
        if row.output == "features" or row.modality == "text":
            widths = ("", shared) if row.modality == "text" else (features, shared or "")
            yield named(spec), row.modality, *widths, row.inputs, f"{row.distance:.1e}", f"{row.limit:g}"


def named(spec: str) -> str:
    """A SPEC without the folder that it lies in here."""
    return f"transformers:({Path(spec).name.rpartition('-')[0]})" if spec.startswith("transformers:") else spec


if __name__ == "__main__":
    raise SystemExit(main())
