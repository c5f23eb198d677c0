"""Puts the commands together and turns errors into one sentence and an exit status."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from importlib.metadata import entry_points
from typing import Annotated

import typer

from avfeat.cli.bench import bench_command
from avfeat.cli.classify import classify
from avfeat.cli.doctor import doctor
from avfeat.cli.duplicates import duplicates
from avfeat.cli.embed import embed
from avfeat.cli.eval import evaluation
from avfeat.cli.explore import explore
from avfeat.cli.info import info
from avfeat.cli.search import search
from avfeat.cli.synth import synth
from avfeat.cli.verify import verify
from avfeat.errors import ArgumentError, AvfeatError, StoppedError
from avfeat.plain import visible
from avfeat.stop import Terminated, raise_on_signal
from avfeat.version import __version__

_INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(embed)
app.command()(info)
app.command()(verify)
app.command()(doctor)
app.command("bench")(bench_command)
app.command()(search)
app.add_typer(classify, name="classify")
app.command()(duplicates)
app.command()(explore)
app.add_typer(synth, name="synth")
app.add_typer(evaluation, name="eval")
# The rooms above this one bring their commands with them; this one knows none of them.
for _entry in sorted(entry_points(group="avfeat.commands"), key=lambda entry: entry.name):
    app.command(_entry.name)(_entry.load())


def _version(value: bool) -> None:
    if value:
        typer.echo(f"avfeat {__version__}")
        raise typer.Exit


@app.callback()
def avfeat(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Time-stamped audio and video embeddings of any video."""


def run() -> None:
    """Run ``sys.argv``; every error of avfeat's own ends as one sentence on stderr."""
    said = logging.StreamHandler()
    said.setFormatter(_Visible("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[said])
    logging.addLevelName(logging.WARNING, "warning")
    warnings.filterwarnings("default", category=DeprecationWarning, module=r"avfeat\.")
    warnings.formatwarning = lambda message, *rest, **named: f"warning: {visible(str(message))}\n"
    try:
        with raise_on_signal():
            app()
    except StoppedError as stop:
        _leave(str(stop), stop.status)
    except AvfeatError as error:
        if os.environ.get("AVFEAT_DEBUG") == "1":
            raise
        _leave(f"error: {error}", 2 if isinstance(error, ArgumentError) else 1)
    except BrokenPipeError:
        # Whoever read our output has gone; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if os.environ.get("AVFEAT_DEBUG") == "1":
            raise
        _leave(f"error: {error.filename or 'output'}: {error.strerror or error}.", 1)
    except Exception as error:  # a fault of ours: still one sentence, and the way to the traceback
        if os.environ.get("AVFEAT_DEBUG") == "1":
            raise
        _leave(f"error: unexpected {type(error).__name__}: {error}; AVFEAT_DEBUG=1 shows where.", 1)
    except KeyboardInterrupt:
        _leave("interrupted; files that are finished are kept.", _INTERRUPTED)
    except Terminated:
        _leave("terminated; files that are finished are kept.", 128 + signal.SIGTERM)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            # Typer has taken the KeyboardInterrupt itself, without a word.
            _leave("interrupted; files that are finished are kept.", _INTERRUPTED)
        raise


class _Visible(logging.Formatter):
    """Messages hold names of files and words of bundles, which are anybody's."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = visible(record.message)
        return super().formatMessage(record)


def _leave(sentence: str, status: int) -> None:
    print(visible(sentence), file=sys.stderr)
    sys.exit(status)
