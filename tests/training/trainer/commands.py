"""``avfeat train`` as a process of its own, with a group of its own, as a terminal or a scheduler starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from avfeat.training.recipes import Recipe

_PATIENCE = 240.0


@dataclass(frozen=True)
class Completed:
    """How a process ended, and what it said."""

    status: int
    out: str
    err: str


def command(data: Path, run: Path, recipe: Recipe, *options: str, processes: int = 1) -> list[str]:
    """The command line; the recipe is written beside ``run``."""
    file = run.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(recipe.to_values()))
    several = torchrun(processes) if processes > 1 else []
    own = ["train", str(data), "-o", str(run), "--recipe", str(file), "--device", "cpu", *options]
    return [sys.executable, *several, "-m", "avfeat", *own]


def torchrun(processes: int) -> list[str]:
    """Options of Python that start what follows in so many processes, on any free port."""
    several = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    return [*several, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]


def begin(arguments: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """Start it; what it says goes to files in ``folder``."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen(
            arguments, env=environment, stdout=out, stderr=err, text=True, start_new_session=True
        )


def ended(process: subprocess.Popen[str], folder: Path) -> Completed:
    """Wait for the end of it, and of all that it has started."""
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    until(lambda: not group(process.pid), "processes outlive the training")
    return Completed(process.returncode, (folder / "out").read_text(), (folder / "err").read_text())


def until(done, what: str) -> None:
    """Wait until ``done()``."""
    deadline = time.monotonic() + _PATIENCE
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def stepped(process: subprocess.Popen[str], run: Path, steps: int, folder: Path) -> None:
    """Wait until there are lines about so many steps."""
    path = run / "metrics.jsonl"

    def there() -> bool:
        assert process.poll() is None, f"it was over too early: {(folder / 'err').read_text()}"
        return path.exists() and path.read_bytes().count(b"\n") >= steps

    until(there, "no steps are done")


def group(leader: int) -> list[int]:
    """Processes of a session that are alive."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(folder.name))
    return found
