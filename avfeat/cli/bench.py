"""``avfeat bench``."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from avfeat.bench import Bench, Speed, bench
from avfeat.bundle import Bundle, find_bundle
from avfeat.cli.options import BackendOption, DeviceOption, ModelOption, ThreadsOption
from avfeat.cli.printing import JsonOption, facts, progress, write_json
from avfeat.job import STDOUT, make_plan
from avfeat.world import plan, write_video


def bench_command(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT]...", help="Files and folders; default: a synthetic video."),
    ] = None,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    backend: BackendOption = "onnx",
    threads: ThreadsOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Passes over all files; medians are taken.")] = 3,
    json: JsonOption = None,
) -> None:
    """Measure how fast this machine embeds: the networks, decoding, and both.

    avfeat bench                                a synthetic video of 10 s

    avfeat bench videos/ --model base-int8      your own
    """
    bundle = Bundle.open(find_bundle(model))
    with ExitStack() as stack:
        paths = _sources(inputs or [], stack)
        advance = stack.enter_context(progress("bench", 3 * rounds + 1))
        found = bench(paths, bundle, device=device, backend=backend, threads=threads, rounds=rounds, tell=advance)
    if json is not None:
        write_json(asdict(found), json)
    if json != "-":
        facts(_lines(found))


def _sources(inputs: list[str], stack: ExitStack) -> list[str]:
    """Paths of all files; without any, of a made one that lives as long as ``stack``."""
    if inputs:
        return [task.name for task in make_plan(inputs, STDOUT).tasks]
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="avfeat-bench-"))
    path = Path(folder) / "made.mp4"
    write_video(plan(28)[0], path)
    return [str(path)]


def _lines(found: Bench) -> dict[str, str]:
    files = "1 file" if found.files == 1 else f"{found.files} files"
    memory = "not known" if found.memory is None else f"{found.memory / 1e6:.0f} MB at most"
    return {
        "model": f"{found.name}, {found.backend} {found.precision}",
        "machine": f"{found.device}, {found.threads} of {found.processors} processors",
        "media": f"{files}, {found.seconds:.1f} s, {found.windows} windows; medians of {found.rounds} rounds",
        **{
            f"{name} network": f"{took:.1f} ms a window, in batches of {found.batch}"
            for name, took in found.network.items()
        },
        "decode": _speed(found.decode),
        "embed": _speed(found.embed),
        "embed_many": _speed(found.embed_many),
        "memory": memory,
    }


def _speed(found: Speed) -> str:
    return f"{found.wall:.2f} s, {found.cpu:.2f} s of CPU: {found.real_time:.0f} times real time"
