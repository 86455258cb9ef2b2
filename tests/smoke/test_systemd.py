"""What `make systemd-smoke` lets pass; the machine itself is too slow for every test run."""

import copy
import json
from dataclasses import dataclass, field

import pytest

from tests.smoke.systemd import WRITABLE, Failed, judge

EVENT = {"type": "new", "event_id": "a", "revision": 1}
UPDATE = {"type": "end", "event_id": "a", "revision": 2}
REPORTS = {
    "service": {
        "uid": 62567,
        "groups": ["dialout", ""],
        "capabilities": 0,
        "no_new_privileges": 1,
        "folder": "750 62567",
        "writable": WRITABLE,
        "exposure": "→ Overall exposure level for eqedge.service: 1.5 OK",
    },
    "north": {
        "state": {"ActiveState": "active", "NRestarts": "0"},
        "uid": 62568,
        "folder": "750 62568",
    },
    "north stopped": {"lines": [json.dumps(EVENT)]},
    "frozen": {"seconds": 90.0, "restarts": "1"},
    "killed": {"seconds": 9.0, "restarts": "2"},
    "stopped": {
        "seconds": 1.0,
        "state": {"ActiveState": "inactive", "Result": "success"},
        "lines": [json.dumps(EVENT), json.dumps(UPDATE)],
    },
}


@dataclass
class Received:
    """What came to a broker."""

    events: list = field(default_factory=lambda: [EVENT | {"historical": True}, UPDATE])
    status: str = "stopped"

    def json(self, kind):
        """Messages of a kind."""
        return self.events if kind == "event" else []

    def texts(self, kind):
        """The status as it changed."""
        return ["online", self.status]


def test_all_well_passes(capsys):
    """With every demand met nothing is raised, and the measurements are printed."""
    judge(REPORTS, Received(), Received(), 1)
    assert "2 messages on events, 0 not at the broker, 1 historical" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "name", "value", "what"),
    [
        ("service", "uid", 0, "dynamic user"),
        ("service", "groups", [], "serial ports"),
        ("service", "capabilities", 1, "no privileges"),
        ("service", "writable", ["/etc/eqedge/x", *WRITABLE], "read-only system"),
        ("service", "folder", "755 0", "its own folder"),
        ("frozen", "restarts", "0", "watchdog"),
        ("north", "state", {"ActiveState": "failed", "NRestarts": "0"}, "second station that goes"),
        ("north", "state", {"ActiveState": "active", "NRestarts": "1"}, "no restart of the second"),
        ("north", "uid", 62567, "second station"),
        (
            "north stopped",
            "lines",
            [json.dumps(EVENT | {"event_id": "b"})],
            "of the second station",
        ),
        ("killed", "restarts", "1", "SIGKILL"),
        ("stopped", "state", {"ActiveState": "failed", "Result": "signal"}, "a stop"),
        ("stopped", "lines", [json.dumps(EVENT | {"event_id": "b"})], "every message"),
    ],
)
def test_each_failure_is_named(part, name, value, what):
    """One thing amiss fails the smoke test by its name."""
    reports = copy.deepcopy(REPORTS)
    reports[part][name] = value
    with pytest.raises(Failed, match=what):
        judge(reports, Received(), Received(), 1)


@pytest.mark.parametrize(
    ("received", "what"),
    [(Received(events=[EVENT, UPDATE]), "historical"), (Received(status="offline"), "stopped")],
)
def test_what_the_broker_must_have_heard(received, what):
    """Old messages marked as such, and a farewell."""
    with pytest.raises(Failed, match=what):
        judge(REPORTS, received, Received(), 1)


def test_machine_that_gave_up_reports_the_reason():
    """Its last state and journal are in the error."""
    with pytest.raises(Failed, match="status=4/ILL"):
        judge({"gave up": {"journal": ["status=4/ILL"]}}, Received(), Received(), 1)
