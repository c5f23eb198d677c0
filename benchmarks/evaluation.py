"""Figures of the evaluation: the tables of docs/evaluation.md, and how long a linear probe takes.

python benchmarks/evaluation.py clips clips/small.csv --label class --group source
python benchmarks/evaluation.py probe
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import avfeat
from avfeat.cli.printing import progress
from avfeat.evaluation import (
    BundleEmbedder,
    Handcrafted,
    Store,
    evaluate_knn,
    evaluate_retrieval,
    readers,
    tables,
    untrained_bundle,
)
from avfeat.evaluation.embedders import RANDOM_INIT
from avfeat.evaluation.probe import linear_probe

_AVE = (3339, 402, 402)
_CLASSES = 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    clips = commands.add_parser("clips", help="kNN and retrieval among labelled clips, as Markdown")
    clips.add_argument("table", type=Path)
    clips.add_argument("--model", type=Path)
    clips.add_argument("--random-init", type=Path)
    clips.add_argument("--label")
    clips.add_argument("--group")
    clips.set_defaults(run=measure_clips)
    probe = commands.add_parser("probe", help="time of a probe on random features of AVE's size")
    probe.add_argument("--dimensions", type=int, default=1024)
    probe.set_defaults(run=measure_probe)
    arguments = parser.parse_args()
    arguments.run(arguments)


def measure_clips(arguments: argparse.Namespace) -> None:
    columns = readers.Columns(label=arguments.label, group=arguments.group)
    dataset = readers.read_labelled(arguments.table, columns)
    with ExitStack() as stack:
        encoder = stack.enter_context(avfeat.load(arguments.model))
        embedders = [BundleEmbedder(encoder), Handcrafted(encoder.bundle.seconds)]
        if arguments.random_init is not None:
            folder = stack.enter_context(untrained_bundle(arguments.random_init, encoder.bundle))
            untrained = stack.enter_context(avfeat.load(folder))
            embedders.insert(1, BundleEmbedder(untrained, RANDOM_INIT))
        knn = evaluate_knn(dataset, embedders, Store(), progress=progress)
        print("\n".join(tables.neighbours_lines(knn)), end="\n\n")
        markdown(tables.knn_table(knn))
        markdown(tables.retrieval_table(evaluate_retrieval(dataset, embedders, Store(), progress=progress)))


def markdown(table: tables.Table) -> None:
    headers, rows = table
    for line in (headers, ("---",) * len(headers), *rows):
        print(f"| {' | '.join(line)} |")
    print()


def measure_probe(arguments: argparse.Namespace) -> None:
    rng = np.random.default_rng(0)
    count = sum(_AVE)
    labels = rng.integers(0, _CLASSES, count)
    # Variances fall off as those of a network's features do, along random directions.
    fall = np.exp(-np.arange(arguments.dimensions) / (arguments.dimensions / 8))
    centres = 0.5 * rng.normal(size=(_CLASSES, arguments.dimensions)) * fall
    turned = np.linalg.qr(rng.normal(size=(arguments.dimensions, arguments.dimensions)))[0]
    rows = ((rng.normal(size=(count, arguments.dimensions)) * fall + centres[labels]) @ turned).astype(np.float32)
    first, second = _AVE[0], _AVE[0] + _AVE[1]
    begun = time.perf_counter()
    found = linear_probe((rows[:first], labels[:first]), (rows[first:second], labels[first:second]), rows[second:])
    took = time.perf_counter() - begun
    accuracy = np.mean(found.predicted == labels[second:])
    print(f"{count:,} x {arguments.dimensions:,}, {_CLASSES} classes: {took:.1f} s, C {found.c:g}, {accuracy:.1%}")


if __name__ == "__main__":
    main()
