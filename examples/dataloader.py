"""A PyTorch DataLoader over videos: worker processes decode and embed, the training loop gets batches of windows.

    pip install 'avfeat[cpu]' torch
    python examples/dataloader.py clips/ --workers 2

The encoder is pickled with the data set, and opens its bundle again in each spawned worker. A file that cannot be
embedded costs a line on stderr. Features of a frozen network need one pass: for more, let `avfeat embed` keep them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

import avfeat


class Windows(IterableDataset[dict[str, Tensor]]):
    """Windows of many videos, each with the number of its video; workers share the videos out."""

    def __init__(self, encoder: avfeat.Encoder, paths: list[Path], hop: float | None = None) -> None:
        self.encoder, self.paths, self.hop = encoder, paths, hop

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for number in range(first, len(self.paths), step):
            try:
                for window in self.encoder.stream(self.paths[number], hop=self.hop):
                    yield {
                        "file": torch.tensor(number),
                        "start": torch.tensor(window.start),
                        "video": torch.from_numpy(window.video),
                        "audio": torch.from_numpy(window.audio),
                        "has_video": torch.tensor(window.has_video),
                        "has_audio": torch.tensor(window.has_audio),
                    }
            except avfeat.MediaError as error:
                print(f"left out: {error}", file=sys.stderr)


def loader(encoder: avfeat.Encoder, paths: list[Path], batch: int, workers: int) -> DataLoader[dict[str, Tensor]]:
    """Batches of windows; spawned workers, as ONNX Runtime's threads do not survive a fork."""
    context = "spawn" if workers else None
    return DataLoader(
        Windows(encoder, paths), batch_size=batch, num_workers=workers, multiprocessing_context=context
    )


def main() -> None:
    """Say what the batches hold, in place of a training."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
    # A thread for each worker: they are what runs side by side.
    with avfeat.load(threads=1) as encoder:
        windows = 0
        for batch in loader(encoder, paths, arguments.batch, arguments.workers):
            rows = torch.cat([batch["video"], batch["audio"]], dim=1)
            windows += len(rows)
            print(f"batch {tuple(rows.shape)} of files {batch['file'].unique().tolist()}")
    print(f"{windows} windows of {len(paths)} files")


if __name__ == "__main__":
    try:
        main()
    except avfeat.AvfeatError as error:
        sys.exit(f"error: {error}")
