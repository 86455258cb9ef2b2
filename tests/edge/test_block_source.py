"""A source that brings dated blocks of its own, no packet anywhere, goes through the chain."""

import numpy as np
import pytest
from eqedge.edge.daemon import Daemon
from eqedge.edge.dating.arrivals import Arrival
from eqedge.edge.message import Node
from eqedge.edge.settings.node import Settings
from eqedge.edge.sources import SourceCounts
from eqedge.edge.types import Block, ClockState, Instrument

from ..support.sinks import Kept

START_NS = 1_790_000_000 * 10**9
CLOCK = ClockState("seedlink", synced=True, error_s=0.002)


class Records:
    """Records of a server: each has its own start time, and comes some time after its last sample.

    Args:
        counts: (n, 3).
        instrument: What recorded them.
        length: Samples a record.
        lost: Numbers of records that never come.
    """

    def __init__(self, counts, instrument, length=412, lost=()):
        self.instrument = instrument
        self.counts = SourceCounts()
        self._counts, self._length, self._lost = counts, length, lost

    def __iter__(self):
        """Yield each record, and nothing in between."""
        rate, second = self.instrument.rate_hz, 0
        for number, first in enumerate(range(0, len(self._counts), self._length)):
            samples = self._counts[first : first + self._length].astype(np.float32)
            if number in self._lost:
                continue
            received = Arrival(round((first + len(samples)) / rate * 1e9), 0)
            while second * 10**9 < received.monotonic_ns:
                yield [], Arrival(second * 10**9, 0)
                second += 1
            start_ns = START_NS + round(first / rate * 1e9)
            block = Block(
                first, start_ns, samples, CLOCK, received_ns=received.monotonic_ns, rate_hz=rate
            )
            yield [block], received

    def reopen(self):
        """Nothing to reopen."""


def run(model, source):
    """Return (messages, counts)."""
    kept = Kept()
    node = Node(Settings().station, model, "boot")
    return kept.messages, Daemon(Settings(), model, source, node, live=False).run([kept])


@pytest.mark.parametrize("length", [100, 412, 5000])
def test_records_with_times_of_their_own_become_an_event(model, stream, length):
    """Picks lie at the records' own times; channels, rate and clock are those of the source."""
    counts, p, s = stream
    source = Records(counts, Instrument(("BHE", "BHN", "BHZ"), 100.0), length)
    messages, counted = run(model, source)
    assert counted.events == 1 and counted.stream.samples == len(counts)
    last = messages[-1]
    picks = {pick["phase"]: (pick["time_ns"] - START_NS) / 1e7 for pick in last["picks"]}
    assert abs(picks["P"] - p) <= 50 and abs(picks["S"] - s) <= 50
    assert (last["channels"], last["sensor_rate_hz"]) == (["BHE", "BHN", "BHZ"], 100.0)
    assert last["clock"]["source"] == "seedlink" and last["clock"]["error_s"] == 0.002


def test_a_lost_record_is_a_gap(model, stream):
    """Its samples are counted as lost, and windows do not lie across it."""
    source = Records(stream[0], Instrument(("BHE", "BHN", "BHZ"), 100.0), lost=(3,))
    _, counted = run(model, source)
    assert (counted.stream.gaps, counted.stream.samples_lost) == (1, 412)


def test_a_silence_closes_the_event(model, stream):
    """Where the server only sends keep-alives the event ends after half a minute."""
    counts, p, _ = stream
    instrument = Instrument(("BHE", "BHN", "BHZ"), 100.0)
    source = Records(counts[: p + 150], instrument, length=50)
    kept = Kept()
    ends = []

    class Silent:
        counts, instrument = source.counts, source.instrument

        def __iter__(self):
            yield from source
            for second in range(1, 60):
                yield [], Arrival(round((p + 150) * 1e7) + second * 10**9, 0)
                ends.append([message["type"] for message in kept.messages].count("end"))

        def reopen(self):
            pass

    node = Node(Settings().station, model, "boot")
    Daemon(Settings(), model, Silent(), node, live=False).run([kept])
    assert ends[-1] == 1 and ends.index(1) + 1 == 31
