"""A short run of kills: every fault once."""

import pytest
from eqedge.edge.delivery.abilities import WINDOW_MESSAGES

from tests.soak.kills import FAULTS, Kills


@pytest.mark.timeout(900)
def test_no_line_of_the_file_is_missing_at_the_broker(tmp_path):
    """Kill -9, the spool lost or damaged, a full disk, no broker: all lines arrive."""
    account = Kills(tmp_path, len(FAULTS), 3).run()
    assert account.missing == 0, account
    assert account.lines > 3 * len(FAULTS) and set(account.faults) == set(FAULTS), account


@pytest.mark.timeout(900)
def test_kills_alone_repeat_little(tmp_path):
    """Without other faults only what was in flight comes again: the spool knows the rest."""
    account = Kills(tmp_path, 4, 5, ["none"]).run()
    assert account.missing == account.only_at_broker == 0, account
    assert account.again <= 4 * WINDOW_MESSAGES, account
