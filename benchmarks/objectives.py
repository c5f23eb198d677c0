"""Do all six objectives train without collapse? Re-creates the table in docs/training.md.

python benchmarks/objectives.py SCRATCH        a quarter of an hour on two cores; a second call goes on
"""

from __future__ import annotations

import argparse
from pathlib import Path

from avfeat.training.data import open_or_prepare
from avfeat.training.objectives import OBJECTIVES
from avfeat.training.recipes import load_recipe
from avfeat.training.trainer import TrainingFinished, WarningIssued, train
from avfeat.training.trainer.journal import read_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--data", default="synthetic:ave?videos=200")
    parser.add_argument("--recipe", default="smoke")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--only", action="append", choices=sorted(OBJECTIVES))
    asked = parser.parse_args()
    columns = ("objective", "loss", "std, video", "std, audio", "kNN", "of random init", "time")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name in asked.only or OBJECTIVES:
        recipe = load_recipe(asked.recipe, [*asked.changes, f"objective.name={name}"])
        cache = open_or_prepare(asked.data, recipe.cache)
        run = asked.scratch / name
        events = list(train(cache, asked.data, run, recipe, resume=True))
        end, last = events[-1], read_metrics(run)[-1]
        assert isinstance(end, TrainingFinished)
        print(
            f"| {name} | {last['objective']:.3f} | {last['video_std']:.2f} | {last['audio_std']:.2f} "
            f"| {last['knn']:.3f} | {last['knn_random_init']:.3f} | {end.seconds:.0f} s |",
            flush=True,
        )
        for event in events:
            if isinstance(event, WarningIssued):
                print(event.message)


if __name__ == "__main__":
    main()
