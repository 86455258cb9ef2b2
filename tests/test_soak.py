"""A short soak: the node on a bad line, killed, without broker and disk; nothing is lost."""

from .soak import Soak


def test_an_hour_of_everything_at_once_loses_nothing(tmp_path):
    """Every line reaches the broker, every undisturbed earthquake the file; no exit of its own."""
    account = Soak(tmp_path, hours=1.0, speed=100.0, seed=4).run()
    assert account.lost == 0, account
    assert account.missed == 0, account
    assert account.left_in_spool == 0, account
    assert account.exits_of_its_own == 0, account
    assert account.duplicates_in_file == 0, account
    assert account.expected >= 4, account
    assert account.frames_damaged > 0, account
    assert account.starts >= 2 and len(account.faults) >= 3, account
