"""What preparing a folder costs against decoding it, what the cache takes, and how fast views come out of it.

python benchmarks/data.py FOLDER [--every N]     N: take every N-th file only

CPU seconds are user and system time of all processes. The three ways take turns, file group by file group, so that
what else the machine does disturbs all of them alike.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

GROUPS = 2
SECONDS = 10.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read(arguments.folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        build(arguments.folder, arguments.every, Path(scratch))
        subprocess.run([sys.executable, __file__, str(Path(scratch) / "cache"), "--read"], check=True)


def build(folder: Path, every: int, scratch: Path) -> None:
    """Build a cache in several goes, each beside decoding the same files in other ways."""
    from avfeat.training.data import open_source

    paths = [Path(item.media.name).resolve() for item in open_source(str(folder)).items][::every]
    took = dict.fromkeys(("ffmpeg", "decode", "prepare"), 0.0)
    for group in range(GROUPS):
        chosen = paths[group::GROUPS]
        (scratch / f"{group}.txt").write_text("\n".join(map(str, chosen)))
        took["ffmpeg"] += cpu_seconds(lambda chosen=chosen: by_ffmpeg(chosen))
        took["decode"] += cpu_seconds(lambda group=group: itself("decode", scratch / f"{group}.txt"))
        took["prepare"] += cpu_seconds(
            lambda group=group: itself("prepare", scratch / f"{group}.txt", scratch / "cache")
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    # The index of all of them; every clip is there.
    (scratch / "all.txt").write_text("\n".join(map(str, paths)))
    itself("prepare", scratch / "all.txt", scratch / "cache")
    index = read_index(scratch / "cache")
    print(f"{len(index.rows)} files, {index.seconds:.0f} s of media; CPU seconds:")
    for name, seconds in took.items():
        print(f"  {name:8} {seconds:7.1f}  {seconds / index.seconds * 1000:6.2f} ms a second of media")
    if took["ffmpeg"]:
        print(f"  prepare takes {took['prepare'] / took['ffmpeg']:.2f} times the CPU of ffmpeg -i FILE -f null -")
    pictures = sum(-(-(row.video_end or 0) * index.settings.fps // 1_000_000) for row in index.rows)
    video = sum((row.video_end or 0) / 1e6 for row in index.rows)
    print(f"cache: {index.bytes / 1e6:.1f} MB, {index.bytes / index.seconds / 1e3:.1f} kB a second of media")
    print(f"  raw video and audio: {(pictures * 112 * 112 * 3 + index.seconds * 32_000) / video / 1e3:.1f} kB")
    print(f"peak memory of a process that prepares: {peak:.0f} MB")


def by_ffmpeg(paths: list[Path]) -> None:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        print("ffmpeg is not installed: not measured")
        return
    for path in paths:
        command = [ffmpeg, "-v", "quiet", "-nostdin", "-threads", "1", "-i", str(path), "-f", "null", "-"]
        subprocess.run(command, check=False)


def itself(what: str, *arguments: Path) -> None:
    """Run a part in a process of its own."""
    code = {
        "decode": "import data, sys; data.decode_all(sys.argv[1])",
        "prepare": "import sys; sys.argv[0] = 'avfeat'; from avfeat.cli import main; main()",
    }[what]
    words = [*(["prepare"] if what == "prepare" else []), *map(str, arguments)]
    words += ["--workers", "1", "--max-failed", "1"] if what == "prepare" else []
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", code, *words], check=True, env=environment, stdout=subprocess.DEVNULL)


def decode_all(listed: str) -> None:
    """Decode every frame of the files in a list, and do nothing with it."""
    import av

    for path in Path(listed).read_text().splitlines():
        with av.open(path) as container:
            streams = [*container.streams.video[:1], *container.streams.audio[:1]]
            for stream in streams:
                stream.codec_context.thread_count = 1
            for packet in container.demux(*streams):
                packet.decode()


def cpu_seconds(work: Callable[[], None]) -> float:
    """CPU seconds of the processes that ``work`` starts."""
    before = os.times()
    work()
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def read_index(cache: Path):
    from avfeat.training.data import index

    return index.read_index(cache)


def read(cache: Path) -> None:
    """Views a second out of the cache, on one thread."""
    import torch

    from avfeat.training.data import Cache, Sampling
    from avfeat.training.data.loader import ViewDataset

    torch.set_num_threads(1)
    opened = Cache(cache)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = min(32, len(opened))
    kinds = {
        "two views": Sampling(spacing="decreasing"),
        "two views, 0.8 to 1.25 times as fast": Sampling(spacing="decreasing", speed=(0.8, 1.25)),
    }
    for name, sampling in kinds.items():
        dataset = ViewDataset(opened, sampling, size)
        for step in range(len(opened) // size):  # once through: warm
            dataset.__getitems__([(step, sample) for sample in range(size)])
        views, step, begun, cpu = 0, 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - begun < SECONDS:
            views += dataset.__getitems__([(step, sample) for sample in range(size)])["speed"].numel()
            step += 1
        used, wall = time.process_time() - cpu, time.perf_counter() - begun
        print(
            f"{name} of 16 frames and 2 s of sound: "
            f"{views / used:.0f} views a CPU second, {views / wall:.0f} a second"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of a process that loads batches of {size}: {peak:.0f} MB, {before:.0f} MB of it torch")


if __name__ == "__main__":
    main()
