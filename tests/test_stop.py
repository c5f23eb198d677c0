from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

import pytest

from avfeat.stop import (
    SIGNALS,
    WORKER,
    StopRequest,
    Terminated,
    held,
    hold,
    ignore,
    raise_if_stopped,
    raise_on_signal,
    stopped_by,
)


@pytest.fixture
def own_handlers() -> Iterator[list[int]]:
    """Handlers that note what reaches them."""
    noted: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _: noted.append(got))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    yield noted
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_acts_as_it_would_have(own_handlers: list[int], first: signal.Signals) -> None:
    with StopRequest() as stop:
        assert stop.signal is None
        os.kill(os.getpid(), first)
        assert stop.signal == first and own_handlers == []
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == first and own_handlers == [signal.SIGINT, signal.SIGTERM]
    with StopRequest() as stop:
        pass
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.signal is None and len(own_handlers) == 3


def test_other_threads_get_no_signals_and_may_work() -> None:
    noted: list[object] = []

    def work() -> None:
        with StopRequest() as stop:
            noted.append(stop.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert noted == [None]


@pytest.fixture
def defaults() -> Iterator[None]:
    """The handlers of a Python that has just begun."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "stop"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_is_raised_and_known_until_the_end(
    defaults: None, number: signal.Signals, stop: type[BaseException]
) -> None:
    found = []
    with pytest.raises(stop), raise_on_signal():
        for _ in range(2):
            # Lost, as in a library that prints it: whoever asks hears of it.
            try:
                signal.raise_signal(number) if not found else raise_if_stopped()
            except stop as error:
                found.append(error)
        raise_if_stopped()
    assert len(found) == 2
    raise_if_stopped()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_an_exit_is_the_stop_that_was_lost_on_the_way(defaults: None) -> None:
    with pytest.raises(KeyboardInterrupt), raise_on_signal():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            sys.exit(1)


def test_handlers_of_others_and_ignored_signals_stay(own_handlers: list[int]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with raise_on_signal():
        for number in SIGNALS:
            signal.raise_signal(number)
    assert own_handlers == [signal.SIGINT]


def test_a_worker_that_was_just_being_started_hears_of_it(defaults: None) -> None:
    heard = threading.Event()

    def work() -> None:
        while True:
            try:
                raise_if_stopped()
            except KeyboardInterrupt:
                heard.set()
                return

    with pytest.raises(KeyboardInterrupt), raise_on_signal():
        threading.Thread(target=work, name=f"{WORKER}_0", daemon=True).start()
        signal.raise_signal(signal.SIGINT)
    assert heard.is_set()


def test_an_event_stops_one_thread_in_one_block() -> None:
    event = threading.Event()
    with stopped_by(event):
        raise_if_stopped()
        event.set()
        with pytest.raises(CancelledError):
            raise_if_stopped()
    raise_if_stopped()


unix = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")


@unix
def test_signals_that_are_held_come_afterwards(own_handlers: list[int]) -> None:
    with held():
        # To this thread: another one would take it.
        signal.raise_signal(signal.SIGTERM)
        assert own_handlers == []
    assert own_handlers == [signal.SIGTERM]


def strike(prepare: Callable[..., None]) -> None:
    prepare(*SIGNALS)
    for number in SIGNALS:
        os.kill(os.getpid(), number)
    os._exit(7)


@unix
@pytest.mark.parametrize("prepare", [ignore, hold])
def test_workers_leave_signals_to_others(prepare: Callable[..., None]) -> None:
    with held():
        process = multiprocessing.get_context("spawn").Process(target=strike, args=(prepare,))
        process.start()
    process.join()
    assert process.exitcode == 7


def test_a_stop_that_became_another_error_is_still_a_stop(own_handlers: list[int]) -> None:
    # Whoever starts the tests may have them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), raise_on_signal():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as stop:
            raise ImportError("an extension module, in the middle of whose import it came") from stop
    with pytest.raises(ImportError), raise_on_signal():
        raise ImportError("without a stop")
