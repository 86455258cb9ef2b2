"""The demo's messages as they were, and by how much others may differ from them."""

import json
from datetime import datetime
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "vectors" / "triggers.jsonl"
SAMPLE_NS = 10_000_000
"""One sample at 100 Hz."""
MOST_PROBABILITY = 0.02
PEAK_NS = 1_000_000_000
"""A peak may be flat."""
OWN = {"boot_id", "latency_ms"}
"""Of each run."""


def read_lines(path):
    """Return the messages of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def differences(messages, golden):
    """Return where messages differ by more than another processor may cause, a line for each."""
    found = []
    if len(messages) != len(golden):
        found.append(f"{len(messages)} messages instead of {len(golden)}")
    for number, (message, wanted) in enumerate(zip(messages, golden, strict=False), start=1):
        found += [f"line {number}: {line}" for line in _differences("", message, wanted)]
    return found


def _differences(name, value, wanted):
    if isinstance(wanted, dict) and isinstance(value, dict):
        if value.keys() != wanted.keys():
            yield f"{name} has {sorted(value.keys() ^ wanted.keys())} more or less"
        for key in value.keys() & wanted.keys() - OWN:
            yield from _differences(key, value[key], wanted[key])
    elif isinstance(wanted, list) and isinstance(value, list) and len(value) == len(wanted):
        for one, other in zip(value, wanted, strict=True):
            yield from _differences(name, one, other)
    elif not _is_near(name, value, wanted):
        yield f"{name} {value} instead of {wanted}"


def _is_near(name, value, wanted):
    if name == "event_id":
        station, time_text = value.rsplit("-", 1)
        wanted_station, wanted_text = wanted.rsplit("-", 1)
        form = "%Y%m%dT%H%M%S%f"
        apart = _ns(time_text, form) - _ns(wanted_text, form)
        return station == wanted_station and abs(apart) <= SAMPLE_NS
    if name.endswith("_time") or name == "time":
        apart = _ns(value, "%Y-%m-%dT%H:%M:%S.%fZ") - _ns(wanted, "%Y-%m-%dT%H:%M:%S.%fZ")
        return abs(apart) <= (PEAK_NS if name == "peak_time" else SAMPLE_NS)
    if name.endswith("time_ns"):
        return abs(value - wanted) <= SAMPLE_NS
    if name == "sample":
        return abs(value - wanted) <= 1
    if name in ("probability", "peak_value", "detection_probability"):
        return abs(value - wanted) <= MOST_PROBABILITY
    return value == wanted


def _ns(text, form):
    since = datetime.strptime(text, form) - datetime(2026, 1, 1)
    return round(since.total_seconds() * 1e6) * 1000
