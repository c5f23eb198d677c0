"""Puts the commands together and turns errors into one sentence and an exit status."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer

from avfeat.errors import ArgumentError, AvfeatError, StoppedError
from avfeat.plain import visible
from avfeat.stop import Terminated, raise_on_signal
from avfeat.version import __version__

_INTERRUPTED = 130
_GROUP = "avfeat.commands"

_COMMANDS = {
    "embed": "avfeat.cli.embed:embed",
    "info": "avfeat.cli.info:info",
    "verify": "avfeat.cli.verify:verify",
    "doctor": "avfeat.cli.doctor:doctor",
    "bench": "avfeat.cli.bench:bench_command",
    "search": "avfeat.cli.search:search",
    "duplicates": "avfeat.cli.duplicates:duplicates",
    "explore": "avfeat.cli.explore:explore",
    "classify": "avfeat.cli.classify:classify",
    "synth": "avfeat.cli.synth:synth",
    "eval": "avfeat.cli.eval:evaluation",
}


def make_app(words: Sequence[str] = ()) -> typer.Typer:
    """The command line; where ``words`` begin with a command, that one alone: all of them take long to import."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(avfeat)
    entries = [EntryPoint(name, place, _GROUP) for name, place in _COMMANDS.items()]
    # The rooms above this one bring their commands with them; this one knows none of them.
    entries += sorted(entry_points(group=_GROUP), key=lambda entry: entry.name)
    named = [entry for entry in entries if entry.name in words[:1]]
    for entry in named or entries:
        command = entry.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(entry.name)(command)
    return app


def _version(value: bool) -> None:
    if value:
        typer.echo(f"avfeat {__version__}")
        raise typer.Exit


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
            make_app(sys.argv[1:])()
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
