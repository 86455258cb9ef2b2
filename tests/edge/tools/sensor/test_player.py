"""The player of records, with a clock that the test sets."""

import numpy as np
import pytest
from eqedge.edge.tools.sensor.faults import Faults
from eqedge.edge.tools.sensor.player import Player
from eqedge.firmware_bridge.decoder import Decoder
from eqedge.firmware_bridge.packets import Samples


class Desk:
    """An outlet with a clock: time passes only while the player waits."""

    def __init__(self):
        self.now = 1000.0
        self.sent_at = {}
        self.decoder = Decoder()

    def monotonic(self):
        """The time."""
        return self.now

    def receive(self, timeout_seconds):
        """Let the time pass; nothing comes."""
        self.now += timeout_seconds
        return b""

    def send(self, data, patient):
        """Note when each packet of samples was sent."""
        for packet in self.decoder.feed(data):
            if isinstance(packet, Samples):
                self.sent_at[packet.first_sample] = self.now - 1000.0


@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_drift_and_stall(hello, waves, speed):
    """A packet leaves once a fast crystal has taken its last sample; a stall's come together."""
    desk = Desk()
    faults = Faults(stall_every_seconds=20.0, stall_seconds=10.0, drift_ppm=1000.0)
    Player(hello, waves(6000), speed=speed, faults=faults, monotonic=desk.monotonic).play(desk)
    assert desk.decoder.losses.frames_bad == desk.decoder.losses.sequence_lost == 0
    assert sorted(desk.sent_at) == list(range(0, 6000, 25))
    taken = {first: (first + 25) / 100.1 for first in desk.sent_at}
    for first, when in desk.sent_at.items():
        held = taken[first]
        for begins in (20.0, 40.0):
            if begins <= taken[first] < begins + 10.0:
                # until the first packet of after the stall
                held = min(t for t in taken.values() if t >= begins + 10.0)
        assert when * speed == pytest.approx(held, abs=0.3), first
    assert len({desk.sent_at[first] for first in range(2100, 2900, 25)}) == 1


def test_a_jump_leaves_samples_out(hello, waves):
    """The samples left out are missing by number, and time goes on."""
    desk = Desk()
    faults = Faults(jump_every_seconds=20.0, jump_seconds=3.0)
    counts = waves(6000)
    Player(hello, counts, faults=faults, monotonic=desk.monotonic).play(desk)
    missed = set(range(0, 6000, 25)) - set(desk.sent_at)
    assert missed == {n for at in (2000, 4000) for n in range(at, at + 300, 25)}
    assert desk.sent_at[2300] == pytest.approx(23.25, abs=0.01)
    assert np.diff(list(desk.sent_at.values())).min() >= 0.0
