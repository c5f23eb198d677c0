"""How the commands are put together."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from avfeat.cli.app import make_app

CODE = "import sys; from avfeat.cli.app import make_app; make_app(sys.argv[1:2]); print(*sorted(sys.modules))"


def names(app: typer.Typer) -> list[str | None]:
    return [one.name for one in (*app.registered_commands, *app.registered_groups)]


def test_a_command_is_imported_without_the_others() -> None:
    ran = subprocess.run([sys.executable, "-c", CODE, "embed"], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "avfeat.cli.embed" in loaded
    assert not {"avfeat.cli.eval", "avfeat.cli.search", "avfeat.evaluation", "avfeat.training.cli.train"} & loaded


@pytest.mark.parametrize("words", [(), ("--help",), ("embde",), ("--version", "embed")])
def test_without_the_name_of_one_all_are_there(words: tuple[str, ...]) -> None:
    found = names(make_app(words))
    assert {"embed", "search", "duplicates", "explore", "classify", "eval", "export", "train"} <= set(found)
    assert len(set(found)) == len(found)


def test_a_name_that_is_mistyped_gets_a_suggestion() -> None:
    ran = CliRunner().invoke(make_app(["embde"]), ["embde"])
    assert ran.exit_code == 2 and "Did you mean" in ran.output and "embed" in ran.output
