from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from avfeat.cli.options import with_options


@dataclass(frozen=True)
class Common:
    model: Annotated[Path | None, typer.Option(help="Which model.")] = None
    workers: Annotated[int, typer.Option(min=1)] = 2


@dataclass(frozen=True)
class Columns:
    label: Annotated[str | None, typer.Option()] = None


app = typer.Typer()


@app.command()
@with_options(Columns, Common)
def measure(data: Path, common: Common, columns: Columns, rank: Annotated[int, typer.Option()] = 1) -> None:
    """What it is for."""
    print(data, common, columns, rank)


def test_options_of_dataclasses_are_a_commands_own() -> None:
    ran = CliRunner().invoke(app, ["a.csv", "--model", "m", "--label", "class", "--rank", "3"])
    assert ran.exit_code == 0
    assert ran.stdout == f"a.csv {Common(Path('m'), 2)} {Columns('class')} 3\n"
    ran = CliRunner().invoke(app, ["a.csv"])
    assert ran.stdout == f"a.csv {Common()} {Columns()} 1\n"


def test_they_are_checked_and_said_in_the_help() -> None:
    assert CliRunner().invoke(app, ["a.csv", "--workers", "0"]).exit_code == 2
    said = CliRunner(env={"TERMINAL_WIDTH": "200"}).invoke(app, ["--help"]).stdout
    for part in ("What it is for.", "--model", "Which model.", "--workers", "--label", "--rank", "data"):
        assert part in said
    assert "common" not in said and "--columns" not in said
