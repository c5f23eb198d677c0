"""Arguments and options that several commands have, each said once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from avfeat.backends import Backend, Device
from avfeat.datasets import Columns
from avfeat.errors import ArgumentError

BundleArgument = Annotated[
    Path | None,
    typer.Argument(help="Folder of a bundle, or base or base-int8, which ship with avfeat; default: base."),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(help="Folder of a bundle, or base or base-int8, which ship with avfeat; default: base."),
]
BackendOption = Annotated[Backend, typer.Option(help="Which of the bundle's formats to run.")]
DeviceOption = Annotated[Device, typer.Option(help="Where to run.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Processors to use; default: all.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Files at a time; default: one a processor.")]

# Those of commands on an index.
IndexArgument = Annotated[
    Path, typer.Argument(metavar="INDEX", help="A .lance folder or a .parquet table that embed has written.")
]
HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", dir_okay=False, help="Write a page with frames and players to FILE."),
]

# Those of ``avfeat eval``.
RootArgument = Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of the data set.")]
DataArgument = Annotated[
    Path, typer.Argument(metavar="DATA", help="A CSV, a folder with a sub-folder for each class, or a copy of AVE.")
]
BaselinesOption = Annotated[
    bool,
    typer.Option(
        "--baselines", help="Colour histograms with MFCC statistics, too, and random-init encoders if given."
    ),
]
RandomOption = Annotated[
    Path | None,
    typer.Option(
        "--random-init",
        metavar="BUNDLE|auto",
        help="An untrained bundle, for a row of its own in the baselines; auto makes one of the model's networks.",
    ),
]
PictureOption = Annotated[
    Path | None,
    typer.Option(
        "--confusion", metavar="FILE", dir_okay=False, help="Draw the confusion matrix: .png, .svg or .pdf."
    ),
]
PromptsOption = Annotated[
    str | None,
    typer.Option(
        "--prompts",
        metavar="TEXT|FILE",
        help="Zero-shot accuracy, too, of a bundle with text: 'a photo of {}', or a file of class<TAB>prompt.",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where embeddings are kept; default: AVFEAT_CACHE or the user's cache."),
]
FileOption = Annotated[str | None, typer.Option("--file", metavar="COLUMN", help="Column of a CSV's files.")]
LabelOption = Annotated[str | None, typer.Option("--label", metavar="COLUMN", help="Column of a CSV's classes.")]
GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="COLUMN",
        help="Column of the groups that must never stand in two folds; default: group, then source.",
    ),
]


@dataclass(frozen=True)
class ColumnOptions:
    """The options that name columns of a CSV."""

    file: FileOption = None
    label: LabelOption = None
    group: GroupOption = None

    def named(self) -> Columns:
        """As readers take them."""
        return Columns(self.file, self.label, self.group)


def with_options(*groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of dataclasses, one a field, in place of the arguments that have these types."""

    def added(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        fields = {group: inspect.signature(group, eval_str=True).parameters for group in groups}
        places = {parameter.annotation: name for name, parameter in own.parameters.items()}

        @functools.wraps(command)
        def with_them(**values: Any) -> None:
            for group in groups:
                values[places[group]] = group(**{name: values.pop(name) for name in fields[group]})
            command(**values)

        kept = [one for one in own.parameters.values() if one.annotation not in groups]
        every = [*kept, *(one for group in groups for one in fields[group].values())]
        named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in every]
        # What Typer reads.
        with_them.__signature__ = own.replace(parameters=named)  # type: ignore[attr-defined]
        with_them.__annotations__ = {one.name: one.annotation for one in named}
        return with_them

    return added


def shard_of(text: str | None) -> tuple[int, int]:
    """``--shard I/N`` as the index of the first piece of work and the step; I runs from 1 to N, and 0 stands for N.

    Raises:
        ArgumentError: something else.
    """
    if text is None:
        return 0, 1
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 0 <= int(first) <= int(count) and int(count) > 0):
        raise ArgumentError(f"--shard must be I/N with I from 1 to N, such as 2/4, not {text!r}.")
    return (int(first) - 1) % int(count), int(count)
