"""Decodes in processes of their own: a decoder that crashes, hangs or takes all memory costs one file, not the run.

A process decodes one file at a time, so which file killed it is known. What comes over the pipe are windows, which
the parent's networks take: sessions, and a GPU's memory, are there once.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from avfeat.errors import ArgumentError, MediaError
from avfeat.media import MediaSummary, Rules, Source, Window, Windows, media_windows
from avfeat.media.source import source_name
from avfeat.stop import SIGNALS, SLICE, ignore, raise_if_stopped

_LOG = logging.getLogger("avfeat")
_GRACE = 1.0
"""Seconds above ``timeout`` after which a process is killed: it should find out itself."""
_PATIENCE = 10.0
"""Seconds that a dead process may take to say how it died."""

Reader = Callable[..., Windows]
"""``media_windows``, or what stands in for it."""


class Decoders:
    """As many decoding processes as threads ask at a time; closing ends them. For ``media_windows`` in threads."""

    def __init__(self, reader: Reader = media_windows) -> None:
        """Have files read by ``reader``, a module's function."""
        self._reader = reader
        self._idle: list[_Decoder] = []
        self._every: list[_Decoder] = []

    def windows(self, source: Source, *what: Any, **options: Any) -> Windows:
        """As ``media_windows``, with its arguments; what is no path is decoded in this process.

        Raises:
            MediaError: as there; ``crashed`` where the process died, ``timeout`` also where it hung.
            ArgumentError: processes cannot be started here.
        """
        if not isinstance(source, str | os.PathLike):
            return self._reader(source, *what, **options)
        return Windows(self._isolated((source, *what), options))

    def _isolated(self, media: tuple[Any, ...], options: dict[str, Any]) -> Generator[Window, None, MediaSummary]:
        # Of lists, these are safe between threads.
        decoder = self._idle.pop() if self._idle else self._new()
        try:
            return (yield from decoder.windows(media, options))
        finally:
            self._idle.append(decoder)

    def close(self) -> None:
        """Leave no process behind, whatever it is doing."""
        while self._every:
            self._every.pop().kill()

    def _new(self) -> _Decoder:
        decoder = _Decoder(self._reader)
        self._every.append(decoder)
        return decoder


class _Decoder:
    """One process, started when it is needed, and again after it has died; for one thread at a time."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._began = False
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def windows(self, media: tuple[Any, ...], options: dict[str, Any]) -> Generator[Window, None, MediaSummary]:
        name, rules = source_name(media[0]), options.get("rules") or Rules()
        overdue = threading.Event()
        watch: threading.Timer | None = None
        whole = False
        try:
            connection = self._ready()
            if rules.timeout is not None:
                watch = threading.Timer(rules.timeout + _GRACE, self._overdue, [overdue])
                watch.daemon = True
                watch.start()
            connection.send((media, options))
            messages = self._messages()
            while (found := next(messages))[0] == "window":
                yield found[1]
            whole = True
            return _outcome(*found)
        except (EOFError, OSError) as error:
            if overdue.is_set():
                message = f"took longer than the timeout of {rules.timeout:g} s; give it more, or a smaller file."
                raise MediaError(name, "timeout", message) from error
            raise MediaError(name, "crashed", self._death()) from error
        finally:
            if watch is not None:
                watch.cancel()
            if not whole:
                # Dead, or in the middle of something that nobody wants any more.
                self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None

    def _ready(self) -> Connection:
        """The way to a process that waits for a file."""
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return self._connection
        self.kill()
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._reader), daemon=True)
        self._process.start()
        theirs.close()
        try:
            next(self._messages())
        except EOFError as error:
            if self._began:
                raise
            raise ArgumentError(
                "Decoding processes cannot start; a script must do its work under: if __name__ == '__main__', "
                "or take isolate=False."
            ) from error
        self._began = True
        return self._connection

    def _messages(self) -> Generator[tuple[str, Any], None, None]:
        assert self._connection is not None
        while True:
            while not self._connection.poll(SLICE):
                raise_if_stopped()
            kind, value = self._connection.recv()
            if kind == "log":
                _LOG.log(*value)
            else:
                yield kind, value

    def _overdue(self, overdue: threading.Event) -> None:
        overdue.set()
        if self._process is not None:
            self._process.kill()

    def _death(self) -> str:
        """How the process died, in words."""
        assert self._process is not None
        self._process.join(_PATIENCE)
        code = self._process.exitcode
        if code is None or code >= 0:
            return "its decoder ended its process; look at the file with other tools, or leave it out."
        number = signal.Signals(-code).name
        if -code == getattr(signal, "SIGKILL", None):
            return (
                f"its decoder was killed ({number}), as happens where memory runs out; leave it out, or have more."
            )
        return f"its decoder crashed ({number}); look at the file with other tools, or leave it out."


def _outcome(kind: str, value: Any) -> MediaSummary:
    """What is known of the whole media; raises what the process has caught."""
    if kind == "media":
        raise MediaError(*value)
    if kind == "argument":
        raise ArgumentError(value)
    if kind != "outcome":
        raise RuntimeError(value)
    found: MediaSummary = value
    return found


def _serve(connection: Connection, reader: Reader) -> None:
    """In the process: decode what is asked for, until the parent is gone."""
    ignore(*SIGNALS)
    with suppress(OSError):
        # Where memory runs out, Linux is to take this process, not its parent.
        Path("/proc/self/oom_score_adj").write_text("800")
    _LOG.addHandler(_Forward(connection))
    _LOG.propagate = False
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_follow, args=(connection, asked), daemon=True).start()
    connection.send(("ready", None))
    while True:
        media, options = asked.get()
        connection.send(_decoded(connection, reader, media, options))


def _decoded(connection: Connection, reader: Reader, media: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Send the windows; give what is to be said at the end."""
    try:
        windows = reader(*media, **options)
        for window in windows:
            connection.send(("window", window))
        return "outcome", windows.outcome
    except MediaError as error:
        return "media", (error.source, error.reason, str(error).removeprefix(f"{error.source}: "))
    except ArgumentError as error:
        return "argument", str(error)
    except MemoryError:
        name = source_name(media[0])
        return "media", (name, "crashed", "its decoder took more memory than there is; leave it out, or have more.")
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:  # a fault of ours: the parent raises it
        return "fault", f"{source_name(media[0])}: {type(error).__name__}: {error}"


def _follow(connection: Connection, asked: queue.SimpleQueue[Any]) -> None:
    """Take what the parent asks for; end with it, whatever is being decoded."""
    try:
        while True:
            asked.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)


class _Forward(logging.Handler):
    """Warnings are the parent's to say."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        self._connection.send(("log", (record.levelno, "%s", record.getMessage())))
