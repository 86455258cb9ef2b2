"""A sensor that does not send its Hello."""

from eqedge.edge.dating.arrivals import Arrival
from eqedge.edge.identification import Identification
from eqedge.firmware_bridge.decoder import Decoder


class Waiting:
    """An identification on a clock of its own, and its requests."""

    def __init__(self, data=b""):
        self.requests = []
        decoder = Decoder()
        decoder.feed(data)
        self.seconds = 100.0
        self.identification = Identification(decoder, lambda: self.requests.append(self.seconds))

    def wait(self, seconds):
        """Let time pass, with an arrival every half second."""
        for _ in range(round(2 * seconds)):
            self.identification.wait(Arrival(round(self.seconds * 1e9), 0))
            self.seconds += 0.5
        return self


def test_requests_are_repeated():
    """Every two seconds, from two seconds on."""
    assert Waiting().wait(7).requests == [102.0, 104.0, 106.0]


def test_a_warning_is_logged_once(caplog):
    """After six seconds, with what to check."""
    Waiting().wait(5.5)
    assert caplog.messages == []
    Waiting().wait(60)
    (line,) = caplog.messages
    assert "no sensor has introduced itself: check power, wiring" in line


def test_what_comes_instead_is_diagnosed(caplog):
    """A GPS receiver is recognised."""
    Waiting(b"$GPRMC,120000,A,4807.038,N,01131.000,E\r\n" * 20).wait(7)
    (line,) = caplog.messages
    assert "GPS receiver" in line


def test_a_sensor_that_becomes_unknown_gets_new_requests(caplog):
    """After a reboot whose greeting was lost, with patience as at the first time."""
    waiting = Waiting().wait(7)
    waiting.identification.settle()
    waiting.seconds = 5000.0
    waiting.wait(4)
    assert waiting.requests[-1] == 5002.0
    assert len(caplog.messages) == 1
    waiting.wait(4)
    assert len(caplog.messages) == 2
