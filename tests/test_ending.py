"""The command line ends at signals: what is open is written, nothing is half-written."""

import signal
import subprocess
import sys
import time

import h5py
import pytest
from eqedge.edge.ending import SAME_WISH_SECONDS
from eqedge.edge.replay.sample import DEMO_FILE

from tests.support.broker import PATIENCE_SECONDS, free_port, wait_until
from tests.test_run_cli import lines_of

PAIRS = [("TERM", "TERM"), ("INT", "INT"), ("HUP", "HUP"), ("INT", "TERM"), ("HUP", "TERM")]


def number_of(name):
    """Return the number of a signal."""
    return signal.Signals[f"SIG{name}"]


def announced(output):
    """Return whether the file has an event."""
    return output.exists() and '"new"' in output.read_text()


def assert_all_ended(output):
    """Each event that was announced was ended, in whole lines."""
    messages = lines_of(output)
    begun = {m["event_id"] for m in messages if m["type"] == "new"}
    assert begun == {m["event_id"] for m in messages if m["type"] == "end"} != set()


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_signals_at_once_are_one(background, tmp_path, first, second):
    """As from timeout(1), which signals the command and its group: the open event is written."""
    output = tmp_path / "o.jsonl"
    process = background("run", "--sim", DEMO_FILE, "--speed", "60", "--output", output)
    wait_until(lambda: announced(output), "an event is announced")
    process.send_signal(number_of(first))
    process.send_signal(number_of(second))
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    assert ": ending; what is open is written first" in err
    assert "Traceback" not in err and "Exception ignored" not in err
    assert_all_ended(output)


def test_a_later_second_signal_does_not_wait_for_the_broker(background, tmp_path):
    """The first lets it wait ten minutes for a broker that is not there; the second does not."""
    output, config = tmp_path / "o.jsonl", tmp_path / "c.toml"
    config.write_text(f'[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\ndrain_seconds = 600\n')
    process = background(
        "run", "--config", config, "--sim", DEMO_FILE, "--speed", "60", "--output", output
    )
    wait_until(lambda: announced(output), "an event is announced")
    process.send_signal(signal.SIGTERM)
    while "SIGTERM: ending" not in process.stderr.readline():
        pass
    wait_until(lambda: '"end"' in output.read_text(), "the event is ended")
    time.sleep(SAME_WISH_SECONDS)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert "SIGTERM again: ending within 10 s" in err
    assert process.returncode == 0, err
    assert_all_ended(output)


EARLY = """
import os, signal, sys
class Signals:
    def find_spec(self, name, *_):
        if name == "eqedge.{module}":
            os.kill(os.getpid(), signal.SIG{name})
sys.meta_path.insert(0, Signals())
import runpy
runpy.run_module("eqedge", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
@pytest.mark.parametrize("module", ["convert.training.cli", "edge.tools.doctor"])
def test_a_signal_while_the_program_loads(name, module):
    """Before the command begins as well: one line at the end, and the signal's exit code."""
    done = subprocess.run(
        [sys.executable, "-c", EARLY.format(name=name, module=module), "doctor"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 128 + number_of(name), done.stderr
    last = f"eqedge: stopped by SIG{name}; no file is left unfinished"
    # the acknowledgement, where it does not end at once
    assert {last} <= set(done.stderr.splitlines()) <= {last, f"eqedge: SIG{name}: stopping"}


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_recording_is_completed(background, tmp_path, name):
    """Each signal ends it with a file that can be read."""
    sensor = background("sensor", "simulate", DEMO_FILE, "--tcp", "0", "--speed", "5")
    url, path = sensor.stdout.readline().strip(), tmp_path / "x.hdf5"
    process = background("sensor", "record", url, path)
    written = set()

    def is_growing():
        if path.exists():
            written.add(path.stat().st_mtime_ns)
        return len(written) >= 4

    wait_until(is_growing, "packets are recorded")
    process.send_signal(number_of(name))
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0 and "Traceback" not in err, err
    assert "in 1 traces" in out
    with h5py.File(path) as file:
        assert all(len(dataset) for dataset in file["data"].values())


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_standard_streams_may_be_closed(tmp_path, closed):
    """The messages are those of a run with all streams open."""
    command = f'exec "$@" {closed}'
    outputs = tmp_path / "open.jsonl", tmp_path / "closed.jsonl"
    for output, shell in zip(outputs, ('exec "$@"', command), strict=True):
        program = [sys.executable, "-m", "eqedge", "run", "--sim", DEMO_FILE, "--speed", "max"]
        done = subprocess.run(
            ["sh", "-c", shell, "sh", *map(str, program), "--traces", "2", "--output", output],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    counts = [[m["type"] for m in lines_of(output)] for output in outputs]
    assert counts[0] == counts[1] != []


def test_messages_have_nowhere_to_go():
    """Standard output is closed and no file is given: one line names the remedy."""
    program = f'exec "{sys.executable}" -m eqedge run --sim "{DEMO_FILE}" >&-'
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "eqedge: standard output is closed; give --output FILE.jsonl\n"
