"""A sensor, its counts and the golden vectors, for all tests of the wire."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from eqedge.firmware_bridge.packets import (
    Ack,
    Command,
    Hello,
    Samples,
    Status,
    TimeReply,
    TimeRequest,
)

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {c.__name__: c for c in (Hello, Samples, Status, TimeRequest, TimeReply, Command, Ack)}


@pytest.fixture(scope="session")
def root():
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def vectors():
    """The golden vectors of the wire."""
    return json.loads((ROOT / "tests/vectors/frames.json").read_text())


@pytest.fixture(scope="session")
def packet_from():
    """Builds the packet that a vector's fields describe."""

    def build(fields):
        fields = dict(fields)
        packet_class = CLASSES[fields.pop("type")]
        if "counts" in fields:
            fields["counts"] = np.array(fields["counts"], dtype=np.int32)
        if "channels" in fields:
            fields["channels"] = tuple(fields["channels"])
        return packet_class(**fields)

    return build


@pytest.fixture
def hello():
    """A three-channel accelerometer at 100 Hz."""
    return Hello(
        device_id="quake-7",
        firmware="test 1",
        rate_hz=100.0,
        channels=("HNE", "HNN", "HNZ"),
        units_per_count=3.8e-5,
        unit="M/S**2",
        boot_id=0x1000_0041,
    )


@pytest.fixture
def waves():
    """Makes seeded counts of shape (samples, channels) that need 16, 24 and 32 bits by turns."""

    def make(samples, channels=3, seed=1):
        rng = np.random.default_rng(seed)
        swell = np.array([1.0 + math.sin(i / 150.0) for i in range(samples)])[:, None] / 2.0
        counts = rng.normal(size=(samples, channels)) * 10.0 ** (1.0 + 8.0 * swell)
        return np.clip(counts, -(2**31), 2**31 - 1).astype(np.int32)

    return make
