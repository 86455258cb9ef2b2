"""A sensor that does not say who it is."""

from eqedge.edge.dating.arrivals import Arrival
from eqedge.edge.identification import Introduction
from eqedge.firmware_bridge.decoder import Decoder


class Waiting:
    """An introduction on a clock of its own, and what came of it."""

    def __init__(self, data=b""):
        self.asked, self.said = [], []
        decoder = Decoder()
        decoder.feed(data)
        self.seconds = 100.0
        self.introduction = Introduction(
            decoder, lambda: self.asked.append(self.seconds), self.said.append
        )

    def wait(self, seconds):
        """Let time pass, with an arrival every half second."""
        for _ in range(round(2 * seconds)):
            self.introduction.wait(Arrival(round(self.seconds * 1e9), 0))
            self.seconds += 0.5
        return self


def test_it_is_asked_again_and_again():
    """Every two seconds, from two seconds on."""
    assert Waiting().wait(7).asked == [102.0, 104.0, 106.0]


def test_the_operator_is_told_once():
    """After six seconds, with what to check."""
    assert Waiting().wait(5.5).said == []
    (line,) = Waiting().wait(60).said
    assert "no sensor has introduced itself: check power, wiring" in line


def test_what_comes_instead_is_diagnosed():
    """A GPS receiver is told from a sensor."""
    (line,) = Waiting(b"$GPRMC,120000,A,4807.038,N,01131.000,E\r\n" * 20).wait(7).said
    assert "GPS receiver" in line


def test_a_sensor_that_becomes_strange_is_asked_anew():
    """After a reboot whose greeting was lost, with patience as at the first time."""
    waiting = Waiting().wait(7)
    waiting.introduction.settle()
    waiting.seconds = 5000.0
    waiting.wait(4)
    assert waiting.asked[-1] == 5002.0
    assert len(waiting.said) == 1
    waiting.wait(4)
    assert len(waiting.said) == 2
