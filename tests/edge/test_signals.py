"""A block has its own handlers of SIGINT and SIGTERM, and leaves the earlier ones."""

import signal

import pytest
from eqedge.edge.signals import STOPPING, stopping_signals


@pytest.fixture(autouse=True)
def earlier():
    """Handlers of the surrounding program, which must not be called."""

    def fail(number, frame):
        raise AssertionError(f"signal {number} reached the surrounding program")

    kept = {number: signal.signal(number, fail) for number in STOPPING}
    yield fail
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_block_receives_the_signals_and_the_earlier_handlers_return(earlier):
    """Also where the block ends by an error."""
    received = []
    with (
        pytest.raises(KeyError),
        stopping_signals(lambda number, _: received.append(number)) as afterwards,
    ):
        assert afterwards == dict.fromkeys(STOPPING, earlier)
        for number in STOPPING:
            signal.raise_signal(number)
        raise KeyError
    assert received == list(STOPPING)
    assert [signal.getsignal(number) for number in STOPPING] == [earlier, earlier]


def test_a_block_may_choose_what_comes_afterwards():
    """A program that is ending ignores further signals."""
    with stopping_signals(lambda *_: None) as afterwards:
        afterwards.update(dict.fromkeys(STOPPING, signal.SIG_IGN))
    signal.raise_signal(signal.SIGTERM)
    assert {signal.getsignal(number) for number in STOPPING} == {signal.SIG_IGN}
