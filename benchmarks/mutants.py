"""Mutation testing: 200 small changes of the source, drawn with a fixed seed, and which test notices each.

pip install 'avfeat[dev,mutants]'; python benchmarks/mutants.py [--log CSV] [--minutes M] [--again]

The first run draws the mutants and writes them to the log; each run goes on with those that no run has reached.
Tests run on a copy of the tree. Linux and macOS.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import csv
import functools
import importlib
import importlib.util
import itertools
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from difflib import SequenceMatcher
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "docs" / "mutants.csv"
COUNT, SEED = 200, 0
PROCESSOR_SECONDS, WALL_SECONDS = 900, 3600
"""Of one test file; a mutant that takes longer is killed. A busy machine is no hang: the second is far larger."""
MEMORY = 8 << 30

_OBJECTIVES, _AUGMENT, _EVALUATION = "tests/training/objectives", "tests/training/augment", "tests/evaluation"
TESTS: dict[str, tuple[str, ...]] = {
    "avfeat/grid.py": ("tests/test_grid.py",),
    "training/objectives/imitation.py": (f"{_OBJECTIVES}/test_objective_distillation.py",),
    "training/objectives": (f"{_OBJECTIVES}/test_objective_{{stem}}.py", f"{_OBJECTIVES}/test_objective_base.py"),
    "training/augment/vocoder.py": (f"{_AUGMENT}/test_spectral.py",),
    "training/augment/spectral.py": (f"{_AUGMENT}/test_spectral.py",),
    "training/augment/spatial.py": (f"{_AUGMENT}/test_spatial.py",),
    "training/augment/compose.py": (f"{_AUGMENT}/test_compose.py",),
    "training/augment/sample_rng.py": (f"{_AUGMENT}/test_sample_rng.py", f"{_AUGMENT}/test_compose.py"),
    "training/augment/filters.py": (f"{_AUGMENT}/test_spectral.py", f"{_AUGMENT}/test_temporal.py"),
    "training/augment": (f"{_AUGMENT}/test_temporal.py", f"{_AUGMENT}/test_compose.py"),
    "avfeat/evaluation/interval.py": (f"{_EVALUATION}/test_evaluation_probe.py",),
    "avfeat/evaluation/logistic.py": (f"{_EVALUATION}/test_evaluation_probe.py",),
    "avfeat/evaluation/picture.py": (f"{_EVALUATION}/test_evaluation_handcrafted.py",),
    "avfeat/bundle.py": ("tests/test_bundle.py", "tests/cli/test_cli_others.py"),
    "avfeat/manifest.py": ("tests/test_bundle.py", "tests/cli/test_cli_others.py"),
    "avfeat/job.py": ("tests/test_job.py", "tests/cli/test_cli_embed.py"),
    "avfeat/evaluation/random_": (f"{_EVALUATION}/test_random_init.py",),
    "avfeat/evaluation/readers": (
        f"{_EVALUATION}/test_evaluation_readers.py",
        f"{_EVALUATION}/test_evaluation_ave.py",
    ),
    "avfeat/datasets": (
        "tests/datasets/test_registry.py",
        "tests/datasets/test_one_reader.py",
        f"{_EVALUATION}/test_evaluation_readers.py",
    ),
    "avfeat/evaluation": (
        f"{_EVALUATION}/test_evaluation_{{stem}}.py",
        f"{_EVALUATION}/test_{{stem}}.py",
        f"{_EVALUATION}/test_evaluation_*.py",
        "tests/cli/test_cli_eval.py",
    ),
    "avfeat/media": ("tests/media/test_{stem}.py", "tests/media/test_*.py", "tests/test_damage.py"),
    "export/parity": (
        "tests/export/test_export_parity.py",
        "tests/export/test_export_raw.py",
        "tests/export/test_export_faults.py",
        "tests/export/test_export_bundle.py",
    ),
}
"""Beginning of a module's path, and the tests that mirror it, in order; what is fast stands first."""

IMPORTED_ONCE = ("torch", "onnxruntime", "scipy.stats", "av", "hypothesis.strategies")
"""By the process that every test run is forked from."""


@dataclass(frozen=True)
class Mutant:
    """A line of the log.

    Attributes:
        before: the lines that change, from ``line`` on, without the indent of the first.
        after: what stands there instead.
        outcome: ``killed``, ``survived``, or empty: not reached yet.
        by: the test that failed, or ``timeout``.
        note: what a reader says of it: ``equivalent: ...`` where no test can notice the change.
    """

    file: str
    line: int
    operator: str
    before: str
    after: str
    outcome: str = ""
    by: str = ""
    note: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, default=LOG, help="CSV to go on with; drawn if it is not there")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no mutant after so long")
    parser.add_argument("--again", action="store_true", help="run the survivors without a note once more")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    if not options.log.is_file():
        write(options.log, draw())
    mutants = read(options.log)
    wanted = [
        k
        for k, m in enumerate(mutants)
        if (m.outcome == "survived" and not m.note if options.again else not m.outcome)
    ]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in IMPORTED_ONCE:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="avfeat-mutants-") as folder:
        copy = copied(Path(folder))
        for k in sorted(wanted, key=lambda k: (turn(mutants[k].file), k)):
            if time.monotonic() > end:
                break
            mutants[k] = tried(mutants[k], copy)
            write(options.log, mutants)
            print(mutants[k].file, mutants[k].line, mutants[k].outcome, mutants[k].by, flush=True)
    outcomes = [mutant.outcome or "not reached" for mutant in mutants]
    print({outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})


def read(log: Path) -> list[Mutant]:
    with log.open(newline="", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = [{**row, "line": int(row["line"])} for row in csv.DictReader(file)]
    return [Mutant(**row) for row in rows]


def write(log: Path, mutants: Iterable[Mutant]) -> None:
    part = log.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Mutant)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(mutant) for mutant in mutants)
    part.replace(log)


# Which mutants


def draw() -> list[Mutant]:
    """Mutants of as many places, each place with the same chance; what only annotations hold is no place."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    rng = random.Random(SEED)
    everywhere = [place for module in modules() for place in places(module)]
    rng.shuffle(everywhere)
    found: list[Mutant] = []
    for file, operators, occurrence in everywhere:
        source = (ROOT / file).read_text(encoding="utf-8")
        operator = rng.choice(operators)
        changed = mutate_code(source, get_operator(operator)(), occurrence)
        if changed is not None and differs(source, changed):
            found.append(Mutant(file, *difference(source, changed, operator.partition("/")[2])))
        if len(found) == COUNT:
            break
    return sorted(found, key=lambda mutant: (turn(mutant.file), mutant.file, mutant.line))


def modules() -> list[str]:
    paths = {path for begin in TESTS for path in ROOT.glob(f"{begin}*") for path in (path, *path.rglob("*.py"))}
    return sorted(path.relative_to(ROOT).as_posix() for path in paths if path.suffix == ".py")


def places(file: str) -> Iterator[tuple[str, list[str], int]]:
    """The module, operators that apply at one place of it, and which of their places that is."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast_from_path(ROOT / file)))
    plain = [name for name in operator_names() if not get_operator(name).arguments()]
    for _, group in itertools.groupby(
        plain, lambda name: name if "Delete" in name else name.rpartition("_")[0] or name
    ):
        # Add_Sub, Add_Mul, ... have the same places.
        operators = list(group)
        operator = get_operator(operators[0])()
        found = sum(len(list(operator.mutation_positions(node))) for node in nodes)
        yield from ((file, operators, occurrence) for occurrence in range(found))


def differs(source: str, changed: str) -> bool:
    """Whether it is another program: it compiles, and not only annotations differ."""
    try:
        return plain(source) != plain(changed)
    except SyntaxError:
        return False


def plain(source: str) -> str:
    """The syntax tree without annotations, which nothing evaluates."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, None)
    return ast.dump(tree)


def difference(source: str, changed: str, operator: str) -> tuple[int, str, str, str]:
    """The first line that changes, the operator, and the lines before and after."""
    one, other = source.splitlines(), changed.splitlines()
    blocks = [
        block for block in SequenceMatcher(None, one, other, autojunk=False).get_opcodes() if block[0] != "equal"
    ]
    (_, begin, _, start, _), (_, _, end, _, stop) = blocks[0], blocks[-1]
    return begin + 1, operator, "\n".join(one[begin:end]).strip(), "\n".join(other[start:stop]).strip()


# What tests say of them


def copied(folder: Path) -> Path:
    """A copy of the tree in which the packages lie as in an installation, so that they are what tests import."""
    for name in ("avfeat", "tests", "benchmarks", "docs", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("training", "export"):
        shutil.copytree(ROOT / name, folder / "avfeat" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    return folder


def turn(file: str) -> int:
    return next(number for number, begin in enumerate(TESTS) if file.startswith(begin))


def tests_of(file: str) -> list[str]:
    named = list(TESTS.values())[turn(file)]
    gone = [name for name in named if not set("{*") & set(name) and not (ROOT / name).exists()]
    if gone:
        raise SystemExit(f"{', '.join(gone)}: not there; TESTS in {Path(__file__).name} names it.")
    patterns = [pattern.format(stem=Path(file).stem) for pattern in named]
    found = [
        path for pattern in patterns for path in sorted(ROOT.glob(pattern), key=lambda path: path.stat().st_size)
    ]
    return list(dict.fromkeys(path.relative_to(ROOT).as_posix() for path in found))


def tried(mutant: Mutant, copy: Path) -> Mutant:
    """The mutant with its outcome."""
    path = copy / (mutant.file if mutant.file.startswith("avfeat/") else f"avfeat/{mutant.file}")
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    rest = "".join(lines[mutant.line - 1 :])
    if not rest.lstrip().startswith(mutant.before):
        return replace(mutant, note="the source has changed since it was drawn")
    put(path, "".join(lines[: mutant.line - 1]) + rest.replace(mutant.before, mutant.after, 1))
    try:
        for tests in tests_of(mutant.file):
            by = first_failure(tests, copy)
            if by:
                break
    finally:
        put(path, source)
    if "::" in by and fails_anyway(by, copy):
        raise SystemExit(f"{by} fails without a mutant, too; mend it first.")
    return replace(mutant, outcome="killed" if by else "survived", by=by)


@functools.cache
def fails_anyway(test: str, copy: Path) -> str:
    return first_failure(test, copy)


def put(path: Path, source: str) -> None:
    path.write_text(source, encoding="utf-8")
    # Compiled code is looked up by second and size, which two mutants may share.
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def first_failure(tests: str, copy: Path) -> str:
    """The first test that fails, ``timeout``, or nothing."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=run, args=(tests, copy, there))
    process.start()
    there.close()
    assert process.pid is not None
    try:
        process.join(WALL_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
    if process.exitcode in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
        # No tests are left of a file that needs a package which is not installed.
        return ""
    if process.exitcode in (-signal.SIGKILL, -signal.SIGXCPU):
        return "timeout"
    try:
        return str(here.recv())
    except EOFError:
        return f"{tests} (ended with {process.exitcode})"


def run(tests: str, copy: Path, results: Connection) -> None:
    """Run tests in a process of their own; sends the first that fails."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    os.chdir(copy)
    shutil.rmtree("cache", ignore_errors=True)
    os.environ.update(PYTHONPATH=str(copy), AVFEAT_CACHE=str(copy / "cache"))
    sys.path.insert(0, str(copy))
    quiet = os.open("last-run.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    options = ["-x", "-n0", "-q", "-p", "no:cacheprovider", "--tb=short", f"--basetemp={copy / 'tmp'}"]
    os._exit(pytest.main([*options, tests], plugins=[First(results)]))


class First:
    """Sends the name of the first test that fails, or of the file that cannot be imported."""

    def __init__(self, results: Connection) -> None:
        self.results = results

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:  # noqa: D102
        if report.failed:
            self.results.send(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:  # noqa: D102
        if report.failed:
            self.results.send(f"{report.nodeid} (import)")


if __name__ == "__main__":
    main()
