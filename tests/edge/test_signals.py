"""How parts of a program end at a signal, whatever the main thread is doing."""

import os
import signal
import subprocess
import sys
import time
from threading import Event

import pytest
from eqedge import EqedgeError
from eqedge.edge import ending
from eqedge.edge.ending import STOPPING, Interrupted, Stopped
from eqedge.edge.signals import (
    hastened,
    signals_deferred,
    stop_on_signals,
    stopped_by_signals,
)

from tests.support.broker import PATIENCE_SECONDS, wait_until


@pytest.fixture(autouse=True)
def earlier():
    """Handlers of the surrounding program, which must not be called."""

    def fail(number, frame):
        raise AssertionError(f"signal {number} reached the surrounding program")

    kept = {number: signal.signal(number, fail) for number in STOPPING}
    yield fail
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def soon(monkeypatch):
    """A second signal hastens at once, not after a second."""
    monkeypatch.setattr(ending, "SAME_WISH_SECONDS", 0.0)


def interrupted(*numbers):
    """Raise signals in a block that they interrupt; return the error."""
    with pytest.raises(Stopped) as caught, stopped_by_signals():
        for number in numbers:
            signal.raise_signal(number)
        time.sleep(60)
    return caught.value


@pytest.mark.parametrize("number", STOPPING)
def test_a_block_is_interrupted_and_the_earlier_handlers_return(earlier, number):
    """The error names the signal and has its exit code."""
    error = interrupted(number)
    assert str(error) == f"stopped by {number.name}; no file is left unfinished"
    assert error.exit_code == 128 + number
    assert [signal.getsignal(one) for one in STOPPING] == [earlier] * len(STOPPING)


@pytest.mark.parametrize("second", STOPPING)
def test_the_second_of_two_is_the_same_wish(second, capfd):
    """It interrupts nothing: the tidying up after the first is not disturbed."""
    tidied = []
    with pytest.raises(Stopped, match="SIGTERM"), stopped_by_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(second)
            tidied.append(True)
    assert tidied == [True]
    assert capfd.readouterr().err in ("", "eqedge: SIGTERM: stopping\n")  # it has ended at once


def test_a_part_that_ends_itself_is_not_interrupted(capfd):
    """Two signals are one request, acknowledged with its own line."""
    stop = Event()
    with stop_on_signals(stop.set, "ending soon"):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        assert stop.wait(PATIENCE_SECONDS)
    assert capfd.readouterr().err == "eqedge: SIGTERM: ending soon\n"


def test_a_later_second_signal_hastens(soon):
    """What waits is informed; the part goes on to its own end."""
    stop, haste = Event(), Event()
    with stop_on_signals(stop.set, "ending"), hastened(haste.set):
        signal.raise_signal(signal.SIGTERM)
        assert stop.wait(PATIENCE_SECONDS) and not haste.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert haste.wait(PATIENCE_SECONDS)


def test_a_part_may_be_interrupted_by_the_signal_that_hastens(soon):
    """As a training that does not come to the end of its step."""
    stop = Event()
    with (
        pytest.raises(Stopped),
        stopped_by_signals(),
        stop_on_signals(stop.set, "ending", interruptible=True),
    ):
        signal.raise_signal(signal.SIGINT)
        assert stop.wait(PATIENCE_SECONDS)
        signal.raise_signal(signal.SIGINT)
        time.sleep(PATIENCE_SECONDS)


def test_a_signal_that_came_before_is_for_the_next_part():
    """What was deferred reaches the part around it, or the one that begins next."""
    done = []
    with pytest.raises(Stopped), stopped_by_signals():
        with signals_deferred():
            signal.raise_signal(signal.SIGTERM)
            done.append("whole")
        done.append("never")
    assert done == ["whole"]
    stop = Event()
    with signals_deferred():
        signal.raise_signal(signal.SIGTERM)
        with stop_on_signals(stop.set, "ending"):
            assert stop.wait(PATIENCE_SECONDS)


def test_an_interruption_in_a_destructor_is_not_lost(capfd):
    """Python prints and drops what a destructor raises."""

    class Closed:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped), stopped_by_signals():
        Closed()
        time.sleep(PATIENCE_SECONDS)
    assert capfd.readouterr().err in ("", "eqedge: SIGINT: stopping\n")


def test_an_interruption_that_a_library_swallows_is_repeated(monkeypatch, capfd):
    """Bare `except:` clauses and C code drop it; training went on to its first weights so."""
    monkeypatch.setattr(ending, "SWALLOWED_SECONDS", 0.5)
    swallowed = 0
    with pytest.raises(Stopped) as caught, stopped_by_signals():
        while True:
            try:
                if not swallowed:
                    signal.raise_signal(signal.SIGINT)
                time.sleep(PATIENCE_SECONDS)
                raise AssertionError("it was not interrupted again")
            except KeyboardInterrupt:
                swallowed += 1
                if swallowed == 3:
                    raise
    assert caught.value.exit_code == 128 + signal.SIGINT and swallowed == 3
    assert capfd.readouterr().err.count("SIGINT: stopping\n") == 1


def test_an_interruption_that_a_library_turns_into_another_error_ends_the_command():
    """Bindings of C++ raise a RuntimeError or a SystemError in place of what was raised in them."""
    with pytest.raises(Stopped) as stopped, stopped_by_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except KeyboardInterrupt:
            raise SystemError("returned a result with an exception set") from None
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    with pytest.raises(SystemError, match="of its own"), stopped_by_signals():
        raise SystemError("of its own")
    with pytest.raises(EqedgeError, match="ours"), stopped_by_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except KeyboardInterrupt:
            raise EqedgeError("ours") from None


def test_what_tidies_up_is_not_interrupted_again(monkeypatch):
    """However long it takes, and though errors are caught in it."""
    monkeypatch.setattr(ending, "SWALLOWED_SECONDS", 0.05)
    monkeypatch.setattr(ending, "LOOK_SECONDS", 0.01)
    done = []
    with pytest.raises(Stopped), stopped_by_signals():
        try:
            signal.raise_signal(signal.SIGINT)
            time.sleep(PATIENCE_SECONDS)
        finally:
            try:
                raise ValueError
            except ValueError:
                time.sleep(0.5)
            done.append(True)
    assert done == [True]


def test_an_interruption_is_one_of_the_keyboard():
    """Libraries know that one, and let it pass."""
    assert issubclass(Interrupted, KeyboardInterrupt)


def test_nohup_keeps_its_meaning():
    """SIGHUP stays ignored where it is."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopped_by_signals():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


STUCK = """
import ctypes, subprocess, sys
from pathlib import Path
from eqedge.edge import ending
from eqedge.edge.files import written_whole
from eqedge.edge.signals import signals_deferred, stopped_by_signals
ending.SAME_WISH_SECONDS, ending.HASTE_SECONDS = 0.0, 0.1
library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(256)
with stopped_by_signals(), signals_deferred(), written_whole(Path(sys.argv[1])) as unfinished:
    unfinished.write_text("half")
    print(subprocess.Popen(["sleep", "600"], stderr=subprocess.DEVNULL).pid, flush=True)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)
"""


def test_a_main_thread_that_is_stuck_in_a_library(tmp_path):
    """The first signal is acknowledged, the second ends it: no half file and no child is left."""
    command = [sys.executable, "-c", STUCK, str(tmp_path / "x")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        child = int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline() == "eqedge: SIGTERM: stopping\n"
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    assert rest.splitlines()[-1] == "eqedge: stopped by SIGTERM; no file is left unfinished"
    assert list(tmp_path.iterdir()) == []

    def is_gone():
        try:
            with open(f"/proc/{child}/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_until(is_gone, "the child was ended")


AT_THE_END = """
import os, signal, sys
from contextlib import suppress
from eqedge.edge.signals import handle_from_here, keep_exit_status, stopped_by_signals

handle_from_here()
with suppress(KeyboardInterrupt):  # as of a command that ends without an error
    with stopped_by_signals():
        try:
            sys.setswitchinterval(60)  # the thread that acknowledges does not run yet
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            keep_exit_status()
            ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
print(ignored)
"""


def test_signals_at_the_end_are_ignored_before_the_first_is_acknowledged():
    """A second Ctrl-C 10 ms after the first gave the status of a kill: -2 in place of 0."""
    command = [sys.executable, "-c", AT_THE_END]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "True\n"
