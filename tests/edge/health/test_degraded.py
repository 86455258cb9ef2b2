"""What is counted and measured makes a node degraded, and lets it be healthy again."""

from dataclasses import dataclass, field, replace

import pytest
from eqedge.edge.health.degraded import Degradation
from eqedge.edge.health.liveness import Liveness, State
from eqedge.edge.health.metrics import (
    STAGES,
    health_record,
    metrics_of,
    prometheus_text,
    state_name,
)
from eqedge.firmware_bridge.measured import Limit, counter, descriptions, gauge, state_reason

WELL = Liveness(State.HEALTHY, State.HEALTHY, State.HEALTHY, 0)
LASTING = 60.0
DEGRADING = [one for stage in STAGES for one in descriptions(stage) if one.degrades is not None]


@dataclass
class Inner:
    """Held by `Fake`."""

    why: str = state_reason()


@dataclass
class Fake:
    """A stage with each kind of effect."""

    lost: int = counter("fake_lost_total", "Lost.", degrades=3)
    harmless: int = counter("fake_harmless_total", "Harmless.")
    waiting: int | None = gauge("fake_waiting", "Waiting.", degrades=Limit(above=0))
    connected: bool = gauge(
        "fake_connected", "Connected.", default=True, degrades=Limit(below=1, lasts=True)
    )
    inner: Inner = field(default_factory=Inner)


class Node:
    """Judges a fake stage each 30 s."""

    def __init__(self):
        self.fake = Fake()
        self.now = 1000.0
        self._degradation = Degradation(LASTING)

    def record(self, seconds=30.0, **changes):
        """Let time pass, change the stage; return the reasons."""
        self.now += seconds
        self.fake = replace(self.fake, **changes)
        return self._degradation.judge(self.now, metrics_of([self.fake], [Fake]), [self.fake])


def test_growth_degrades_from_its_limit_on_and_for_a_minute():
    """Two in a minute do not, three do, and a minute after the last one all is well."""
    node = Node()
    assert node.record(lost=0, harmless=10**6) == []
    assert node.record(lost=2) == []
    assert node.record(lost=3) == ["fake_lost_total has grown by 3"]
    assert node.record() == []  # the first two are a minute old
    assert node.record(lost=9) == ["fake_lost_total has grown by 6"]
    assert node.record() == ["fake_lost_total has grown by 6"]
    assert node.record() == []


def test_growth_before_the_first_record_and_between_far_records_is_seen():
    """Counters start at 0 with the program; each loss is in one record at least."""
    node = Node()
    assert node.record(lost=4) == ["fake_lost_total has grown by 4"]
    assert node.record(600.0, lost=7) == ["fake_lost_total has grown by 3"]
    assert node.record(600.0) == []


def test_a_gauge_degrades_while_it_is_beyond_its_limit():
    """At once, or after a minute where the limit states it; an unknown value does not."""
    node = Node()
    assert node.record(waiting=0) == node.record(waiting=None) == []
    assert node.record(waiting=48) == ["fake_waiting is 48"]
    assert node.record(waiting=0, connected=False) == node.record() == []
    assert node.record() == ["fake_connected is 0"]
    assert node.record(connected=True) == node.record(connected=False) == []


def test_a_reason_of_a_stage_is_passed_on():
    """As it is, from within another dataclass too."""
    assert Node().record(inner=Inner("no good")) == ["no good"]


@pytest.mark.parametrize("description", DEGRADING, ids=lambda one: one.metric)
def test_each_effect_appears_in_the_state_and_goes(description):
    """Of each metric that has one: degraded at its limit, healthy when the cause is over."""
    degradation, limit = Degradation(LASTING), description.degrades
    if isinstance(limit, Limit):
        good, bad = (0, limit.above + 1) if limit.above is not None else (limit.below, 0)
        after = good
    else:
        good, bad = 0, limit
        after = bad

    def state_at(now, value):
        metrics = [
            replace(one, value=value) if one.name == description.metric else one
            for one in metrics_of(())
        ]
        reasons = degradation.judge(now, metrics, [])
        record = health_record({}, "", metrics, WELL, reasons)
        flag = f"eqedge_degraded{{}} {int(bool(reasons))}\n"
        assert prometheus_text({}, metrics, WELL, reasons).endswith(flag)
        assert record["reasons"] == reasons
        return record["state"]

    lasts = isinstance(limit, Limit) and limit.lasts
    assert state_at(0, good) == "healthy"
    assert state_at(10, bad) == ("healthy" if lasts else "degraded")
    assert state_at(71 if lasts else 40, bad) == "degraded"
    assert state_at(140, after) == "healthy"


def test_a_stage_that_stands_still_is_worse_than_degraded():
    """Its state is the node's; the reasons are in the record all the same."""
    assert state_name(replace(WELL, output=State.ALARMED), ["no good"]) == "alarmed"
    assert state_name(WELL, ["no good"]) == "degraded"
    assert state_name(WELL, []) == "healthy"
