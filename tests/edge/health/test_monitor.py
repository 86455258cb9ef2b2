"""What is judged, told and done at each tick, on a clock that the test sets."""

import socket
from contextlib import closing, suppress
from dataclasses import dataclass, field

import numpy as np
import pytest
from eqedge.edge.health.liveness import Liveness, State
from eqedge.edge.health.metrics import prometheus_text
from eqedge.edge.health.monitor import NodeStuck, Vitals
from eqedge.edge.health.notify import Notifier
from eqedge.edge.run_counts import RunCounts
from eqedge.edge.sensor_status import SensorHealth
from eqedge.edge.settings.node import HealthSettings
from eqedge.edge.sources import SourceCounts
from eqedge.edge.types import Block, ClockState, Probabilities, Window

CLOCK = ClockState("host", True)
BLOCK = Block(0, 0, np.zeros((25, 3), dtype=np.float32), CLOCK)
SCORED = Probabilities(Window(0, 0, BLOCK.samples, 100.0, CLOCK), BLOCK.samples, 1.5)


@dataclass
class Stage:
    """Source and ways out of a node whose parts stop when told."""

    now: float = 1000.0
    reopened: list = field(default_factory=list)
    broker_stuck_at: float | None = None
    retries: int = 0
    published: list = field(default_factory=list)

    def monotonic(self):
        """The test's clock."""
        return self.now

    def reopen(self):
        """As the source's."""
        self.reopened.append(self.now)

    def proved_alive(self, now):
        """As the delivery's."""
        return now if self.broker_stuck_at is None else self.broker_stuck_at

    def measure(self, metrics):
        """As the delivery's."""
        metrics.spool_messages = 7

    def retry(self):
        """As the delivery's."""
        self.retries += 1

    def publish_health(self, record):
        """As the delivery's."""
        self.published.append(record)


class Bench:
    """Vitals on a stage, with systemd's end of the line."""

    def __init__(self, tmp_path, **health):
        self.stage = Stage()
        self.said = []
        self.words = []
        self.is_read = True
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(tmp_path / "notify"))
        self.manager.setblocking(False)
        words = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
        self.vitals = Vitals(
            HealthSettings(**health),
            {"network": "XX", "station": "EDGE", "boot_id": "b"},
            self.stage,
            self.stage,
            self.said.append,
            notifier=Notifier(words),
            monotonic=self.stage.monotonic,
        )

    def run(self, seconds, *, samples=True, windows=True):
        """Let time pass; return how often the watchdog was fed."""
        self.let_pass(seconds, samples=samples, windows=windows)
        return self.heard().count("WATCHDOG=1")

    def let_pass(self, seconds, *, samples=True, windows=True):
        """Let time pass, a tick a second."""
        for _ in range(seconds):
            self.stage.now += 1.0
            if samples:
                self.vitals.sampled(BLOCK)
            if windows:
                self.vitals.inferred(SCORED, 0.25)
            self.vitals.tick(RunCounts(events=3))
            if self.is_read:
                self.read()

    def read(self):
        """Empty the socket, as systemd does: Linux' usual queue holds ten datagrams."""
        with suppress(BlockingIOError):
            while True:
                self.words.append(self.manager.recv(4096).decode())

    def heard(self):
        """All that systemd received since this was last called."""
        self.read()
        words, self.words = self.words, []
        return words

    def clog(self):
        """Fill the socket's queue and read no more, as a systemd does that has no time."""
        self.is_read = False
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as other:
            other.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    other.sendto(b"X_OTHER=1", self.manager.getsockname())


@pytest.fixture
def bench(tmp_path):
    """A running node; its hang timer would end the tests if it were left armed."""
    made = Bench(tmp_path)
    yield made
    made.vitals.close()
    made.manager.close()


def test_a_healthy_node_feeds_the_watchdog_three_times_in_its_time(bench):
    """Every 10 s of 30, no more; nothing is said, the disk is offered what it refused."""
    assert bench.run(300) == 30
    assert bench.said == [] and bench.stage.reopened == []
    assert bench.stage.retries == len(bench.stage.published) == 10
    record = bench.stage.published[-1]
    assert (record["state"], record["events_total"], record["spool_messages"]) == ("healthy", 3, 7)
    assert (record["lag_seconds"], record["inference_duration_seconds"]) == (0.25, 0.0015)


def test_a_ping_that_a_full_queue_refused_is_sent_again_at_once(bench):
    """Not a third of the watchdog's time later; each refusal is counted in the health record."""
    assert bench.run(5) == 1
    bench.clog()
    assert bench.run(20) == 0
    bench.is_read = True
    assert bench.run(1) == 1
    assert bench.run(9) == 0
    assert bench.run(1) == 1
    assert bench.stage.published[-1]["notify_unsent_total"] == 15


def test_ready_is_sent_until_it_got_through(bench):
    """Systemd ends a service whose READY=1 it never received; it is sent once."""
    bench.clog()
    bench.let_pass(30)
    assert set(bench.heard()) == {"X_OTHER=1"}
    bench.is_read = True
    bench.let_pass(30)
    received = bench.heard()
    assert received[0].startswith("READY=1\n")
    assert len([text for text in received if "READY=1" in text]) == 1


def test_what_the_sensor_says_of_itself_is_told(bench):
    """In the record and in Prometheus' words; what it does not measure is null, or left out."""
    bench.stage.now += 1
    bench.vitals.tick(RunCounts(SourceCounts(sensor=SensorHealth(12, 3, False, -12.34, None))))
    record = bench.stage.published[-1]
    assert {k: v for k, v in record.items() if k.startswith("sensor_")} == {
        "sensor_samples_dropped_total": 12,
        "sensor_adc_faults_total": 3,
        "sensor_adc_ok": False,
        "sensor_temperature_celsius": -12.34,
        "sensor_supply_volts": None,
    }
    text = prometheus_text({}, bench.vitals.metrics, Liveness(*[State.HEALTHY] * 3, 0))
    told = [line for line in text.splitlines() if line.startswith("eqedge_sensor_")]
    assert told == [
        "eqedge_sensor_samples_dropped_total{} 12",
        "eqedge_sensor_adc_faults_total{} 3",
        "eqedge_sensor_adc_ok{} 0",
        "eqedge_sensor_temperature_celsius{} -12.34",
    ]


def test_a_silent_source_is_reopened_three_times(bench):
    """10 s apart, beginning 10 s after the alarm; then the food ends; then the program."""
    bench.run(10)
    began = bench.stage.now
    with pytest.raises(NodeStuck, match="samples stood still") as caught:
        bench.run(999, samples=False, windows=False)
    assert caught.value.exit_code == 70
    assert [when - began for when in bench.stage.reopened] == [40, 50, 60]
    assert bench.stage.now - began == pytest.approx(30 + 40 + 120, abs=2)
    assert len([w for w in bench.heard() if w == "WATCHDOG=1"]) <= 8
    assert [line for line in bench.said if line.startswith("samples")] == [
        "samples: alarmed",
        "samples: recovering",
        "samples: escalated",
        "samples: failed",
    ]


def test_samples_that_nobody_scores_starve_the_watchdog(bench):
    """The inference stage, though samples flow."""
    bench.run(10)
    with pytest.raises(NodeStuck, match="inference stood still"):
        bench.run(999, windows=False)
    assert bench.stage.reopened == []
    assert "inference: escalated" in bench.said


def test_a_stuck_broker_thread_starves_the_watchdog(bench):
    """The output stage, though all else goes on."""
    bench.run(10)
    bench.stage.broker_stuck_at = bench.stage.now
    bench.run(170)
    assert "output: escalated" in bench.said
    assert bench.run(30) == 0
    bench.stage.broker_stuck_at = None
    assert bench.run(30) > 0
    assert bench.said[-1] == "output: healthy"


def test_a_health_file_that_cannot_be_written_is_told_once_and_counted(tmp_path):
    """In the log, and in the health that goes elsewhere; the node stays healthy."""
    bench = Bench(tmp_path, json_file=str(tmp_path / "missing" / "health.json"))
    bench.run(100)
    bench.vitals.close()
    bench.manager.close()
    assert len(bench.said) == 1 and "health.json cannot be written" in bench.said[0]
    counts = [record["health_errors_total"] for record in bench.stage.published]
    assert counts == list(range(len(counts))) and len(counts) > 2
    assert bench.stage.published[-1]["state"] == "healthy"
