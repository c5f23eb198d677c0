"""CPU seconds (user + system, with children) that starting takes; the least of several runs.

python benchmarks/startup.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

RUNS = 7


def cpu_seconds(command: list[str]) -> float:
    """The least CPU time of ``RUNS`` runs: what the work takes when nothing else disturbs it."""
    times = []
    for _ in range(RUNS):
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(times)


def main() -> None:
    avfeat = shutil.which("avfeat")
    assert avfeat is not None, "avfeat is not on the PATH; install it first"
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "avfeat --version": [avfeat, "--version"],
        "import avfeat": [sys.executable, "-c", "import avfeat"],
        "from avfeat import load": [sys.executable, "-c", "from avfeat import load"],
        "avfeat --help": [avfeat, "--help"],
    }
    for name, command in commands.items():
        print(f"{name:26} {cpu_seconds(command):.3f} s")


if __name__ == "__main__":
    main()
