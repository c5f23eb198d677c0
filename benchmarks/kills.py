"""Kills ``avfeat embed`` at random moments and runs it again: no part of a file may be left.

    python benchmarks/kills.py [--times 50] [--format npz]... [--seed 0]

Of every format, a job over made clips is killed (SIGKILL) that many times, each time somewhere in its run: jsonl
and parquet as one table, which is half written all the time, the others as files. Those are written in no time, so
every second kill waits for a part to be there. Then the job runs to its end. Exit status 1 if a part is left then,
or an output is missing.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from avfeat.job import TABLES
from avfeat.world import plan, write_video
from avfeat.writers import FORMATS
from avfeat.writers.atomic import PREFIX

CLIPS = 4


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--format", action="append", choices=[*FORMATS])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips = Path(folder) / "clips"
        clips.mkdir()
        for video in plan(28, seed=given.seed)[:CLIPS]:
            write_video(video, clips / f"{video.id}.mp4")
        return max(killed(clips, form, given.times, given.seed) for form in given.format or FORMATS)


def killed(clips: Path, form: str, times: int, seed: int) -> int:
    """The exit status for one format."""
    out = clips.parent / form
    table = f".{form}" in TABLES
    target = out / f"all.{form}" if table else out
    command = [
        sys.executable,
        "-m",
        "avfeat",
        "embed",
        str(clips),
        "-o",
        str(target),
        "--format",
        form,
        "--overwrite",
    ]
    begun = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole = time.monotonic() - begun
    rng = random.Random(seed)
    most = caught = 0
    for number in range(times):
        before = set(parts(out))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, whole))
        while number % 2 and process.poll() is None and not set(parts(out)) - before:
            time.sleep(0)
        process.kill()
        process.wait()
        left = set(parts(out))
        caught += bool(left - before)
        most = max(most, len(left))
    subprocess.run(command[:-1], check=True, capture_output=True)
    remain, outputs = parts(out), len(list(out.glob(f"*.{form}")))
    print(
        f"{form}: {times} kills, {caught} of them left a part, at most {most} at a time; in the end {len(remain)}, "
        f"{outputs} outputs"
    )
    shutil.rmtree(out)
    return int(bool(remain) or outputs != (1 if table else CLIPS))


def parts(out: Path) -> list[Path]:
    """What is half written."""
    return list(out.rglob(f"{PREFIX}*.part"))


if __name__ == "__main__":
    sys.exit(main())
