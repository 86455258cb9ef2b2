"""`eqedge run` as a process: every bad input, signals, ports, outputs and brokers."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest
from eqedge.edge.replay.sample import DEMO_FILE, write_sample
from eqedge.edge.replay.stead import SteadFile
from eqedge.edge.replay.timeline import Timeline
from eqedge.firmware_bridge.packets import Hello
from eqedge.firmware_bridge.virtual import VirtualSensor
from eqedge.models.registry import DEFAULT_MODEL, open_model

from tests.support.broker import PATIENCE_SECONDS, free_port, wait_until

pytestmark = pytest.mark.slow  # each starts a program

ENZ = ("HHE", "HHN", "HHZ")


def refusal(result):
    """Return the one line with which a run was refused."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    lines = [x for x in result.stderr.splitlines() if x.startswith(("eqedge:", "Error:"))]
    assert len(lines) == 1, result.stderr
    return lines[0]


def lines_of(path):
    """Return the messages in a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def last_words(messages):
    """Return the last message of each event: its picks' phases and probabilities."""
    last = {m["event_id"]: m for m in messages}
    return [[(pick["phase"], pick["probability"]) for pick in m["picks"]] for m in last.values()]


@pytest.fixture
def waveform(rng):
    """A trace of noise."""
    return rng.standard_normal((3000, 3)) * 100


# -- bad files ---------------------------------------------------------------------------------


def test_a_missing_file(eqedge, tmp_path):
    """Its name, and what to give instead."""
    line = refusal(eqedge("run", "--sim", tmp_path / "no.hdf5"))
    assert "no.hdf5: no such file; name a STEAD-layout HDF5 file" in line


def test_a_truncated_file(eqedge, tmp_path):
    """A download that broke off."""
    path = tmp_path / "cut.hdf5"
    path.write_bytes(DEMO_FILE.read_bytes()[:200_000])
    assert "cut.hdf5: not a readable HDF5 file" in refusal(eqedge("run", "--sim", path))


def test_a_file_that_is_not_hdf5(eqedge, tmp_path):
    """Text, for instance the CSV given by mistake."""
    path = tmp_path / "text.hdf5"
    path.write_text("trace_name\n")
    assert "text.hdf5: not a readable HDF5 file" in refusal(eqedge("run", "--sim", path))


def test_a_file_without_traces(eqedge, tmp_path):
    """HDF5 of another layout."""
    path = tmp_path / "other.hdf5"
    with h5py.File(path, "w") as file:
        file["waveforms"] = np.zeros((10, 3))
    assert "no traces under 'data'" in refusal(eqedge("run", "--sim", path))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[:, :2], "shape (3000, 2), expected (samples, 3) as E, N, Z"),
        (lambda x: x * np.nan, "holds NaN or infinite samples; interpolate or drop it"),
        (lambda x: x * 0, "all three components are constant"),
    ],
)
def test_no_trace_that_can_be_played(eqedge, write_stead, waveform, spoil, message):
    """The file, the trace and what is wrong with it."""
    line = refusal(eqedge("run", "--sim", write_stead({"a_EV": (spoil(waveform), {})})))
    assert "no trace can be played; trace a_EV: " in line
    assert message in line


def test_an_unknown_sampling_rate(eqedge, write_stead, waveform):
    """One that leads nowhere, and one that is none."""
    message_for = {5.0: "5 Hz cannot be turned into the model's 100 Hz; set", "?": "'?' is no"}
    for rate, message in message_for.items():
        path = write_stead({"a_EV": (waveform, {"sampling_rate_hz": rate})})
        assert message in refusal(eqedge("run", "--sim", path))


def test_a_file_of_another_rate(eqedge, write_stead, waveform, tmp_path):
    """It is played at its own rate, the node resamples, and the place is the file's sample."""
    path = write_stead({"a_NO": (waveform, {"sampling_rate_hz": 62.5})})
    result = eqedge("run", "--sim", path, "--speed", "max", "--output", tmp_path / "o.jsonl")
    assert result.returncode == 0, result.stderr
    assert "played 1 traces, 0.03 h" in result.stderr  # 60 s of lead, 48 s, 15 s of tail


def test_bad_traces_among_good_ones(eqedge, write_stead, waveform, tmp_path):
    """They are passed over and named; the others are played, those without labels too."""
    path = write_stead(
        {"a_EV": (waveform, {}), "b_EV": (waveform * np.nan, {}), "c_NO": (waveform, {})}
    )
    result = eqedge("run", "--sim", path, "--speed", "max", "--output", tmp_path / "o.jsonl")
    assert result.returncode == 0, result.stderr
    assert "trace b_EV: holds NaN" in result.stderr
    assert "played 2 traces" in result.stderr
    assert "events   0 of 0 found" in result.stderr


def test_a_bad_csv(eqedge, tmp_path):
    """Missing, or of another kind."""
    missing = refusal(eqedge("run", "--sim", DEMO_FILE, "--csv", tmp_path / "no.csv"))
    assert "no.csv: cannot be read" in missing
    other = tmp_path / "other.csv"
    other.write_text("a,b\n")
    line = refusal(eqedge("run", "--sim", DEMO_FILE, "--csv", other))
    assert "other.csv: no trace_name column" in line


# -- bad models --------------------------------------------------------------------------------


def half(model):
    """Cut the flatbuffer, as a copy that broke off; the card knows the whole."""
    return model.data[: len(model.data) // 2], dict(model.card)


def other_bytes(model):
    """Change one byte."""
    data = bytearray(model.data)
    data[-1] ^= 1
    return bytes(data), dict(model.card)


def no_card(model):
    """Leave the card behind."""
    return model.data, None


def not_json(model):
    """Spoil the card."""
    return model.data, "{"


def not_tflite(model):
    """Put something else under the name."""
    return b"not a model at all", dict(model.card)


def other_window(model):
    """Take the card of a model with another input."""
    return model.data, {**model.card, "spec": {**model.card["spec"], "window_samples": 3000}}


def spec_of_tomorrow(model):
    """Take a card with a field that this version does not know."""
    return model.data, {**model.card, "spec": {**model.card["spec"], "colour": "red"}}


def broken_inside(model):
    """Keep the hash right over bytes that no runtime loads."""
    data = model.data[:8] + bytes(5000)
    return data, {**model.card, "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (half, "is not the card's"),
        (other_bytes, "is not the card's"),
        (no_card, "the .json written by eqedge convert must lie beside the .tflite"),
        (not_json, "not JSON"),
        (not_tflite, "not a TensorFlow Lite file"),
        (other_window, "use the card that belongs to it"),
        (spec_of_tomorrow, "spec is not readable"),
        (broken_inside, "cannot load it"),
    ],
)
def test_a_bad_model_costs_nothing(eqedge, tmp_path, spoil, message):
    """It is refused in one line, and the events of an earlier run are still in the output."""
    data, card = spoil(open_model(DEFAULT_MODEL))
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    if card is not None:
        path.with_suffix(".json").write_text(card if isinstance(card, str) else json.dumps(card))
    output = tmp_path / "o.jsonl"
    output.write_text("earlier\n")
    result = eqedge("run", "--sim", DEMO_FILE, "--model", path, "--output", output)
    assert message in refusal(result)
    assert output.read_text() == "earlier\n"


def test_a_model_nobody_knows(eqedge):
    """The shipped ones are named."""
    line = refusal(eqedge("run", "--sim", DEMO_FILE, "--model", "phasenet"))
    assert "model phasenet: No such file" in line
    assert DEFAULT_MODEL in line


# -- bad outputs, ports and flags --------------------------------------------------------------


@pytest.mark.parametrize("place", ["no/such/o.jsonl", "."])
def test_an_output_that_cannot_be_written(eqedge, tmp_path, place):
    """Before anything is played."""
    line = refusal(eqedge("run", "--sim", DEMO_FILE, "--output", tmp_path / place))
    assert "cannot write" in line
    assert "give a file in a folder that exists" in line


def test_an_output_that_is_an_input(eqedge, tmp_path):
    """A slip of the shell's history must not cost the data."""
    path = tmp_path / "data.hdf5"
    path.write_bytes(DEMO_FILE.read_bytes())
    line = refusal(eqedge("run", "--sim", path, "--output", path))
    assert "data.hdf5 is an input of this run; name another file" in line
    assert path.read_bytes() == DEMO_FILE.read_bytes()


def test_a_port_that_is_not_there(eqedge):
    """The ports that are there are named."""
    line = refusal(eqedge("run", "--serial", "/dev/ttyNOWHERE"))
    assert "port /dev/ttyNOWHERE: there is no such port (ports found: " in line


def test_a_socket_nobody_listens_on(eqedge):
    """Its address and the reason."""
    line = refusal(eqedge("run", "--serial", f"socket://127.0.0.1:{free_port()}"))
    assert "cannot be opened" in line
    assert "refused" in line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give either --sim FILE.hdf5 or --serial PORT"),
        (["--sim", "x", "--serial", "y"], "give either --sim FILE.hdf5 or --serial PORT"),
        (["--sim", DEMO_FILE, "--speed", "fast"], "'fast' is not a speed; use 1, 10 or max"),
        (["--sim", DEMO_FILE, "--speed", "0"], "'0' is not a speed"),
        (["--sim", DEMO_FILE, "--speed", "nan"], "'nan' is not a speed"),
        (["--sim", DEMO_FILE, "--spacing", "nan"], "nan s; use 0 to 3600"),
        (["--sim", DEMO_FILE, "--refractory", "inf"], "inf s; use 0 to 3600"),
        (["--sim", DEMO_FILE, "--min-duration", "-1"], "-1 s; use 0 to 3600"),
        (["--sim", DEMO_FILE, "--hop", "0"], "hop 0.0 s: use 0.05 to 60 s"),
        (["--sim", DEMO_FILE, "--hop", "nan"], "hop nan s: use 0.05 to 60 s"),
        (["--sim", DEMO_FILE, "--hop", "31"], "use a hop of at most 30 s"),
        (["--sim", DEMO_FILE, "--seed", "-1"], "-1 is not in the range"),
        (["--sim", DEMO_FILE, "--traces", "0"], "0 is not in the range"),
        (["--sim", DEMO_FILE, "--p-threshold", "1.5"], "P_threshold 1.5: use a number between"),
        (["--sim", DEMO_FILE, "--confirm-windows", "0"], "confirm_windows 0: use 1 or more"),
        (["--sim", DEMO_FILE, "--preset", "bold"], "preset 'bold': model"),
        (["--sim", DEMO_FILE, "--station", "../x"], "station code '../x'"),
        (["--sim", DEMO_FILE, "--mqtt", "localhost"], "write mqtt://host:1883"),
        (["--sim", DEMO_FILE, "--mqtt", "mqtt://a:99999"], "write mqtt://host:1883"),
        (["--sim", DEMO_FILE, "--mqtt", "mqtt://h/a/+/b"], "no wildcards"),
    ],
)
def test_bad_flags(eqedge, tmp_path, flags, message):
    """Each names itself and what it may be; nothing is written."""
    output = tmp_path / "o.jsonl"
    assert message in refusal(eqedge("run", *flags, "--output", output))
    assert not output.exists()


def test_a_password_in_an_address_is_not_repeated(eqedge):
    """It would end up in the journal."""
    result = eqedge("run", "--sim", DEMO_FILE, "--mqtt", "mqtt://me:geheim@broker:1883")
    assert "leave out user name and password" in refusal(result)
    assert "geheim" not in result.stderr


# -- what must not stop it ---------------------------------------------------------------------


def test_no_broker_at_the_start(eqedge, tmp_path):
    """The run goes on with a warning, and every event is in the file."""
    sample = tmp_path / "s.hdf5"
    write_sample(sample, events=1, noise_traces=0, seed=22)
    output, alone = tmp_path / "o.jsonl", tmp_path / "alone.jsonl"
    flags = ("run", "--sim", sample, "--speed", "max", "--output")
    assert eqedge(*flags, alone).returncode == 0
    address = f"mqtt://127.0.0.1:{free_port()}"
    result = eqedge(*flags, output, "--mqtt", address)
    assert result.returncode == 0, result.stderr
    assert address in result.stderr
    assert last_words(lines_of(output)) == last_words(lines_of(alone)) != []


def test_a_full_disk(eqedge):
    """Detection goes on; the account at the end is given, and the lost lines are logged."""
    result = eqedge(
        "run", "--sim", DEMO_FILE, "--traces", "2", "--speed", "max", "--output", "/dev/full"
    )
    assert result.returncode == 0, result.stderr
    assert "/dev/full cannot be written: No space left on device" in result.stderr
    assert "played 2 traces" in result.stderr


def test_a_reader_that_goes_away(background):
    """`eqedge run | head -1` ends in one line, without a traceback."""
    process = background("run", "--sim", DEMO_FILE, "--speed", "max")
    assert process.stdout.readline().startswith('{"schema":1')
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(PATIENCE_SECONDS) == 2
    assert "standard output was closed by its reader" in err
    assert "Traceback" not in err
    assert "BrokenPipeError" not in err


# -- signals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_live_run_at_once(background, tmp_path, number):
    """At real time, between two packets: the account is given and the exit code is 0."""
    output = tmp_path / "o.jsonl"
    process = background("run", "--sim", DEMO_FILE, "--speed", "1", "--output", output)
    wait_until(output.exists, "the output is open")
    time.sleep(0.1)
    begin = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert time.monotonic() - begin < 60, "the whole would last twenty minutes"
    assert process.returncode == 0, err
    assert "played 0 traces" in err
    assert "Traceback" not in err


EARLY = """
import os, signal, sys
class Stops:
    def find_spec(self, name, *_):
        if name == "eqedge.edge.node":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Stops())
from eqedge.__main__ import main
main()
"""


def test_a_signal_while_the_program_loads_is_a_clean_end(tmp_path):
    """On a small computer that takes seconds; the output is there and empty."""
    output = tmp_path / "o.jsonl"
    flags = ["run", "--sim", DEMO_FILE, "--speed", "1", "--output", output]
    done = subprocess.run(
        [sys.executable, "-c", EARLY, *map(str, flags)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode, output.read_text()) == (0, ""), done.stderr


def test_a_signal_brings_out_what_is_left(background, tmp_path):
    """Every event that was announced is ended, in whole lines."""
    output = tmp_path / "o.jsonl"
    process = background("run", "--sim", DEMO_FILE, "--speed", "60", "--output", output)
    wait_until(lambda: output.exists() and '"new"' in output.read_text(), "an event is announced")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    messages = lines_of(output)
    begun = {m["event_id"] for m in messages if m["type"] == "new"}
    assert begun == {m["event_id"] for m in messages if m["type"] == "end"}


def test_a_second_signal_ends_it_without_waiting(background, tmp_path):
    """While it waits for a broker that does not come, the operator is not kept."""
    output = tmp_path / "o.jsonl"
    address = f"mqtt://127.0.0.1:{free_port()}"
    process = background("run", "--sim", DEMO_FILE, "--mqtt", address, "--output", output)
    wait_until(output.exists, "the output is open")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode in (0, 128 + signal.SIGTERM)


# -- ports -------------------------------------------------------------------------------------


def serve(listener, sensor, stretches=()):
    """Answer a request of identity, deliver the counts; stay until the other side leaves."""
    connection, _ = listener.accept()
    with connection:
        connection.sendall(sensor.receive(connection.recv(4096)))
        for counts in stretches:
            connection.sendall(sensor.push(counts))
        connection.sendall(sensor.flush())
        while connection.recv(4096):
            pass


def test_a_sensor_on_a_socket_picks_what_a_simulation_picks(eqedge, background, tmp_path):
    """The same counts by TCP and by --sim give the same events with the same probabilities."""
    sample, by_sim = tmp_path / "s.hdf5", tmp_path / "sim.jsonl"
    write_sample(sample, events=2, noise_traces=0, seed=22)
    result = eqedge("run", "--sim", sample, "--speed", "max", "--seed", "5", "--output", by_sim)
    assert result.returncode == 0, result.stderr
    with SteadFile(sample) as file:
        traces = [file.read(name) for name in file.names]
    timeline = Timeline(traces, 100.0, spacing_seconds=30.0, lead_seconds=60.0, seed=5)
    sensor = VirtualSensor(Hello("tcp", "test", 100.0, ENZ), samples_per_packet=50)
    by_port, config = tmp_path / "port.jsonl", tmp_path / "node.toml"
    config.write_text("[window]\nmax_lag_seconds = 3600\n")  # a busy machine leaves no window out
    config.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        args = (listener, sensor, timeline.stretches())
        server = threading.Thread(target=serve, args=args, daemon=True)
        server.start()
        port = f"socket://127.0.0.1:{listener.getsockname()[1]}"
        process = background("run", "--config", config, "--serial", port, "--output", by_port)
        expected = lines_of(by_sim)
        wait_until(
            lambda: by_port.exists() and len(by_port.read_text().splitlines()) >= len(expected),
            "the events came",
        )
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        server.join(PATIENCE_SECONDS)
    assert process.returncode == 0, err
    assert "s of data, " in err
    messages = lines_of(by_port)
    assert last_words(messages) == last_words(expected) != []
    assert [m["type"] for m in messages] == [m["type"] for m in expected]
    assert {m["clock"]["source"] for m in messages} == {"host"}
    assert not any("sim" in pick for m in messages for pick in m["picks"])


def test_a_live_node_appends(background, tmp_path):
    """A restart keeps the events of the run before it."""
    output = tmp_path / "o.jsonl"
    output.write_text('{"event_id":"earlier"}\n')
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = f"socket://127.0.0.1:{listener.getsockname()[1]}"
        process = background("run", "--serial", port, "--output", output)
        connection, _ = listener.accept()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        connection.close()
    assert process.returncode == 0, err
    assert output.read_text() == '{"event_id":"earlier"}\n'


def test_a_second_node_on_one_output_is_refused(eqedge, background, tmp_path):
    """Exit 2 and one line that names the file; the first one goes on, and so does its file."""
    output = tmp_path / "o.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = f"socket://127.0.0.1:{listener.getsockname()[1]}"
        process = background("run", "--serial", port, "--output", output)
        connection, _ = listener.accept()
        line = refusal(eqedge("run", "--serial", port, "--output", output))
        assert f"output {output} is used by another process; stop it" in line
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        connection.close()
    assert process.returncode == 0, err


def test_a_sensor_of_another_rate(background):
    """One that leads nowhere is refused by name when it introduces itself."""
    sensor = VirtualSensor(Hello("slow-7", "test", 5.0, ENZ))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener, sensor), daemon=True).start()
        process = background("run", "--serial", f"socket://127.0.0.1:{listener.getsockname()[1]}")
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    line = refusal(subprocess.CompletedProcess([], process.returncode, out, err))
    assert "sensor slow-7: 5 Hz cannot be turned into the model's 100 Hz; set the sensor's" in line


def test_a_pty_is_a_port(background, tmp_path):
    """A sensor behind a pseudo-terminal is read like one on a cable."""
    ours, theirs = os.openpty()
    sensor = VirtualSensor(Hello("pty", "test", 100.0, ENZ), samples_per_packet=100)
    output = tmp_path / "o.jsonl"
    process = background("run", "--serial", os.ttyname(theirs), "--output", output)
    wait_until(output.exists, "the output is open")
    rng = np.random.default_rng(0)
    os.write(ours, sensor.greet())
    for _ in range(20):
        os.write(ours, sensor.push(rng.integers(-99, 99, (100, 3)).astype(np.int32)))
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0, err
    assert "0 events" in err
    assert "Traceback" not in err
