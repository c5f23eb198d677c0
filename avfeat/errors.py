"""The exceptions that avfeat raises, all derived from one base."""

from __future__ import annotations

from typing import Any, Literal

Reason = Literal[
    "not_found",
    "unreadable",
    "no_streams",
    "empty",
    "damaged",
    "too_large",
    "too_long",
    "timeout",
    "still",
    "crashed",
    "unwritable",
]


class AvfeatError(Exception):
    """Base of every error that avfeat raises on purpose: one sentence with the remedy. Can be pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """How it travels: an error that cannot arrive breaks a whole pool of processes."""
        return _arrived, (type(self), self.args, self.__dict__)


class ArgumentError(AvfeatError, ValueError):
    """An argument that no call can work with."""


class MediaError(AvfeatError):
    """A media file that gives no embedding.

    Attributes:
        source: the file as the caller named it.
        reason: ``not_found``, ``unreadable``, ``no_streams``, ``empty``; ``still`` for a picture; ``too_large``,
            ``too_long`` and ``timeout`` for more than the caller allows; ``damaged`` in strict calls; ``crashed``
            for what has killed the process that decoded it; of a job, ``unwritable`` for an output that cannot be.
    """

    def __init__(self, source: str, reason: Reason, message: str) -> None:
        super().__init__(f"{source}: {message}")
        self.source = source
        self.reason: Reason = reason


class DatasetError(AvfeatError):
    """A data set that is not there, or whose text files do not say what they should."""


class BundleError(AvfeatError):
    """A bundle that is broken, foreign, or newer than this avfeat."""


class BackendError(AvfeatError):
    """A backend or device that was asked for and is not there."""


class BusyError(AvfeatError):
    """Another process is at work where this one wanted to be the only one."""


class StoppedError(AvfeatError):
    """Work that a signal has ended in good order; what is done is kept.

    Attributes:
        status: that the command ends with.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class OutputError(AvfeatError):
    """A result that cannot be written where it was asked for, or read from where it should be."""


class FullDiskError(OutputError):
    """The disk is full: no other result could be written either."""


def _arrived(kind: type[AvfeatError], args: tuple[Any, ...], values: dict[str, Any]) -> AvfeatError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(values)
    return error
