"""What is judged, logged, published and done at each tick, on a clock that the test sets."""

import socket
from contextlib import closing, suppress
from dataclasses import dataclass, field

import numpy as np
import pytest
from eqedge.edge.delivery.spool_counts import SpoolState
from eqedge.edge.health.monitor import HealthMonitor, NodeStuck
from eqedge.edge.health.notify import Notifier
from eqedge.edge.run_counts import RunCounts
from eqedge.edge.sensor_status import SensorHealth
from eqedge.edge.settings.health import HealthSettings
from eqedge.edge.sources import SourceCounts
from eqedge.edge.types import Block, ClockState, Probabilities, Window

CLOCK = ClockState("host", True)
BLOCK = Block(0, 0, np.zeros((25, 3), dtype=np.float32), CLOCK)
SCORED = Probabilities(Window(0, 0, BLOCK.samples, 100.0, CLOCK), BLOCK.samples, 1.5)


@dataclass
class Stage:
    """Source and outputs of a node, whose parts can be made to stop."""

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

    @property
    def counts(self):
        """As the delivery's."""
        return [SpoolState(messages=7)]

    def retry(self):
        """As the delivery's."""
        self.retries += 1

    def publish_health(self, record):
        """As the delivery's."""
        self.published.append(record)


class Bench:
    """A health monitor on a stage, with systemd's end of the socket."""

    def __init__(self, tmp_path, **health):
        self.stage = Stage()
        self.received = []
        self.is_read = True
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(tmp_path / "notify"))
        self.manager.setblocking(False)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
        self.monitor = HealthMonitor(
            HealthSettings(**health),
            {"network": "XX", "station": "EDGE", "boot_id": "b"},
            self.stage,
            self.stage,
            notifier=Notifier(environ),
            monotonic=self.stage.monotonic,
        )

    def run(self, seconds, *, samples=True, windows=True):
        """Let time pass; return how often the watchdog was pinged."""
        self.let_pass(seconds, samples=samples, windows=windows)
        return self.newly_received().count("WATCHDOG=1")

    def let_pass(self, seconds, *, samples=True, windows=True, source=SourceCounts):
        """Let time pass, a tick a second."""
        for _ in range(seconds):
            self.stage.now += 1.0
            if samples:
                self.monitor.sampled(BLOCK)
            if windows:
                self.monitor.inferred(SCORED, 0.25)
            self.monitor.tick(RunCounts(events=3, source=source()))
            if self.is_read:
                self.read()

    def read(self):
        """Empty the socket, as systemd does: Linux's usual queue holds ten datagrams."""
        with suppress(BlockingIOError):
            while True:
                self.received.append(self.manager.recv(4096).decode())

    def newly_received(self):
        """Return what systemd received since this was last called."""
        self.read()
        received, self.received = self.received, []
        return received

    def clog(self):
        """Fill the socket's queue and read no more, as a busy systemd does."""
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
    made.monitor.close()
    made.manager.close()


def test_a_healthy_node_pings_the_watchdog_three_times_in_its_time(bench, logged):
    """Every 10 s of 30, no more; nothing is logged, what the disk rejected is written again."""
    assert bench.run(300) == 30
    assert logged() == [] and bench.stage.reopened == []
    assert bench.stage.retries == len(bench.stage.published) == 10
    record = bench.stage.published[-1]
    assert (record["state"], record["events_total"], record["spool_messages"]) == ("healthy", 3, 7)
    assert (record["lag_seconds"], record["inference_duration_seconds"]) == (0.25, 0.0015)


def test_a_ping_that_a_full_queue_rejected_is_sent_again_at_once(bench):
    """Not a third of the watchdog's time later; each failure is counted in the health record."""
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
    assert set(bench.newly_received()) == {"X_OTHER=1"}
    bench.is_read = True
    bench.let_pass(30)
    received = bench.newly_received()
    assert received[0].startswith("READY=1\n")
    assert len([text for text in received if "READY=1" in text]) == 1


def test_what_the_sensor_reports_is_published(tmp_path):
    """In the record and in Prometheus' text; what it does not measure is null, or left out."""
    file = tmp_path / "eqedge.prom"
    bench = Bench(tmp_path, prometheus_file=str(file))
    bench.stage.now += 1
    bench.monitor.tick(RunCounts(SourceCounts(sensor=SensorHealth(12, 3, False, -12.34, None))))
    record = bench.stage.published[-1]
    assert {k: v for k, v in record.items() if k.startswith("sensor_")} == {
        "sensor_samples_dropped_total": 12,
        "sensor_adc_faults_total": 3,
        "sensor_adc_ok": False,
        "sensor_temperature_celsius": -12.34,
        "sensor_supply_volts": None,
    }
    bench.monitor.close()
    bench.manager.close()
    labels = '{network="XX",station="EDGE"}'
    lines = [line for line in file.read_text().splitlines() if line.startswith("eqedge_sensor_")]
    assert lines == [
        f"eqedge_sensor_samples_dropped_total{labels} 12",
        f"eqedge_sensor_adc_faults_total{labels} 3",
        f"eqedge_sensor_adc_ok{labels} 0",
        f"eqedge_sensor_temperature_celsius{labels} -12.34",
    ]


def test_a_silent_source_is_reopened_three_times(bench, logged):
    """10 s apart, beginning 10 s after the alarm; then the pings end; then the program."""
    bench.run(10)
    began = bench.stage.now
    with pytest.raises(NodeStuck, match="samples stood still") as caught:
        bench.run(999, samples=False, windows=False)
    assert caught.value.exit_code == 70
    assert [when - began for when in bench.stage.reopened] == [40, 50, 60]
    assert bench.stage.now - began == pytest.approx(30 + 40 + 120, abs=2)
    assert len([text for text in bench.newly_received() if text == "WATCHDOG=1"]) <= 8
    assert [line for line in logged() if line.startswith("samples")] == [
        "samples: alarmed",
        "samples: recovering",
        "samples: escalated",
        "samples: failed",
    ]


@pytest.mark.parametrize("grows", ["packets_unannounced", "hellos_unusable"])
def test_a_sensor_that_cannot_be_used_is_waited_for(bench, grows):
    """For hours, with pings and the reason; once it is silent too, the node ends as before."""
    refused = 0

    def unusable():
        nonlocal refused
        refused += 1
        return SourceCounts(**{grows: refused, "trouble": "sensor s: 0.001 Hz"})

    bench.run(10)
    bench.let_pass(4000, samples=False, windows=False, source=unusable)
    assert bench.newly_received().count("WATCHDOG=1") >= 400
    record = bench.stage.published[-1]
    assert record["stages"]["samples"] == "recovering"
    assert record["reasons"] == ["sensor s: 0.001 Hz", *record["reasons"][1:]]
    with pytest.raises(NodeStuck, match="samples stood still"):
        bench.run(40, samples=False, windows=False)


def test_samples_that_are_not_scored_end_the_pings(bench, logged):
    """The inference stage stands still, though samples flow."""
    bench.run(10)
    with pytest.raises(NodeStuck, match="inference stood still"):
        bench.run(999, windows=False)
    assert bench.stage.reopened == []
    assert "inference: escalated" in logged()


def test_a_stuck_broker_thread_ends_the_pings(bench, logged):
    """The output stage stands still, though all else goes on."""
    bench.run(10)
    bench.stage.broker_stuck_at = bench.stage.now
    bench.run(170)
    assert "output: escalated" in logged()
    assert bench.run(30) == 0
    bench.stage.broker_stuck_at = None
    assert bench.run(30) > 0
    assert logged()[-1] == "output: healthy"


def test_a_health_file_that_cannot_be_written_is_logged_once_and_counted(tmp_path, logged):
    """In the log, and in the health that is published elsewhere, whose state is degraded."""
    bench = Bench(tmp_path, json_file=str(tmp_path / "missing" / "health.json"))
    bench.run(100)
    bench.monitor.close()
    bench.manager.close()
    assert len(logged("health.json cannot be written")) == 1
    counts = [record["health_errors_total"] for record in bench.stage.published]
    assert counts == list(range(len(counts))) and len(counts) > 2
    assert bench.stage.published[-1]["state"] == "degraded"
    assert "health_errors_total has grown by" in bench.stage.published[-1]["reasons"][0]
