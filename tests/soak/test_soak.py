"""A short soak: every fault of the plan, on a bad line; nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.plan import KINDS
from tests.support.broker import find

HOURS, SPEED, SEED, EVERY = 0.9, 90, 4, 100


@pytest.mark.timeout(3600)
def test_an_hour_of_everything_loses_nothing(tmp_path):
    """Every line reaches the broker, every undisturbed earthquake the file or the broker.

    The replay waits for a node that starts or lags, so that a busy machine makes it longer, not
    different.
    """
    find("mosquitto")
    options = {"hours": HOURS, "speed": SPEED, "seed": SEED, "every": EVERY}
    flags = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    account_file = tmp_path / "account.json"
    result = subprocess.run(
        [sys.executable, "-m", "tests.soak", *flags, "--json", account_file],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    account = json.loads(account_file.read_text())
    assert account["lost"] == account["missed"] == account["left_in_spool"] == 0, account
    assert account["exits_of_its_own"] == account["duplicates_in_file"] == 0, account
    assert account["expected"] >= 3 and account["frames_damaged"] > 0, account
    assert account["expected"] + sum(account["excused"].values()) == account["played"], account
    assert set(account["excused"]) <= {"kill", "unplug", "line"}, account
    assert len(account["faults"]) >= len(KINDS) - 1, account
    assert account["starts"] >= 4, account
