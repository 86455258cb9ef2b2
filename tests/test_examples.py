"""The examples run: a subscriber behind a broker, a board whose bytes decode, a notebook."""

import json
import os
import shutil
import subprocess
import sys
from itertools import islice, pairwise

import pytest
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.framing import frame
from eqedge.firmware_bridge.packets import (
    Ack,
    Command,
    Hello,
    Result,
    Samples,
    TimeReply,
    TimeRequest,
    Verb,
)

from .conftest import ROOT
from .support.broker import Broker

EXAMPLES = ROOT / "examples"
FIRMWARE = ROOT / "firmware_bridge" / "firmware"
RATE_HZ = 100


def test_the_subscriber_prints_each_event_message_once(tmp_path, eqedge):
    """It prints a line for each line of the run's file, and none for a repeated message."""
    output = tmp_path / "triggers.jsonl"
    with Broker(tmp_path) as broker:
        command = [sys.executable, EXAMPLES / "subscriber.py", "127.0.0.1", str(broker.port)]
        subscriber = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert list(islice(subscriber.stderr, 2)) == [
                "connection: Success\n",
                "waiting for events\n",
            ]
            options = ["--traces", "2", "--speed", "max", "--output", output]
            run = eqedge("run", "--sim", DEMO_FILE, *options, "--mqtt", broker.url)
            assert run.returncode == 0, run.stderr
            messages = [json.loads(line) for line in output.read_text().splitlines()]
            again = {**messages[0], "sequence": 99, "historical": True}
            for message in (messages[0], again):
                broker.publish("eqedge/XX/EDGE/event", json.dumps(message).encode())
            lines = list(islice(subscriber.stdout, len(messages) + 1))
        finally:
            subscriber.kill()
            subscriber.communicate()
    assert len({message["event_id"] for message in messages}) == 2
    for line, message in zip(lines, [*messages, again], strict=True):
        assert line.split()[:2] == [message["type"], message["event_id"]]
        assert all(f"{pick['phase']} {pick['time']}" in line for pick in message["picks"])
    assert [line.endswith("(late)\n") for line in lines] == [False] * len(messages) + [True]


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """The example board, compiled against the reference firmware with every warning an error."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    program = tmp_path_factory.mktemp("board") / "board"
    core = [FIRMWARE / name for name in ("protocol.c", "sampler.c", "device.c")]
    warnings = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]
    folders = ["-I", FIRMWARE, "-I", EXAMPLES / "board"]
    source = EXAMPLES / "board" / "board.c"
    subprocess.run(["gcc", *warnings, *folders, *core, source, "-lm", "-o", program], check=True)
    return program


def test_the_board_streams_and_answers(board):
    """It greets, streams 100 samples a second without a loss, answers the time, and reboots."""
    process = subprocess.Popen([board], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    decoder, packets = Decoder(), []

    def of(kind):
        return [packet for packet in packets if isinstance(packet, kind)]

    def read_until(condition):
        while not condition():
            data = os.read(process.stdout.fileno(), 4096)
            assert data, "the board ended"
            packets.extend(decoder.feed(data))

    try:
        read_until(lambda: len(of(Samples)) == 4)
        streamed, losses = of(Samples), decoder.losses
        for packet in (TimeRequest(7), Command(1, Verb.REBOOT, of(Hello)[0].boot_id)):
            process.stdin.write(frame(packet.to_bytes()))
            process.stdin.flush()
        read_until(lambda: len(of(Hello)) == 2 and isinstance(packets[-1], Samples))
        process.stdin.close()
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait(120)
        process.stdout.close()
    first, second = of(Hello)
    assert (first.device_id, first.rate_hz, first.channels) == (
        "example",
        RATE_HZ,
        ("EHE", "EHN", "EHZ"),
    )
    assert first.boot_id != second.boot_id
    (reply,) = of(TimeReply)
    assert reply.request_id == 7
    assert (of(Ack)[0].command_id, of(Ack)[0].result) == (1, Result.DONE)
    assert decoder.losses.frames_bad == losses.sequence_lost == 0
    apart = len(streamed[0].counts) * first.tick_hz // RATE_HZ
    assert {(b.tick - a.tick) % 2**32 for a, b in pairwise(streamed)} == {apart}
    assert abs(streamed[0].counts).max() > 700  # a sine and a cosine of 1000 counts


def test_the_notebook_runs_and_picks_its_record(tmp_path, monkeypatch):
    """Its cells run in order, its last trigger has the labelled P and S, and a picture is drawn."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / "replay.ipynb").read_text(encoding="utf-8"))
    names = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            exec("".join(cell["source"]), names)
    trace, triggers, figure = (names[name] for name in ("trace", "triggers", "figure"))
    assert [trigger.type for trigger in triggers][:: len(triggers) - 1] == ["new", "end"]
    labels = {"P": trace.p_arrival_sample, "S": trace.s_arrival_sample}
    picks = {pick.phase: pick.sample for pick in triggers[-1].picks}
    assert picks == pytest.approx(labels, abs=0.5 * RATE_HZ)
    assert len(figure.axes) == 4
    names["plt"].close(figure)
