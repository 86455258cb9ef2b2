"""What `make arm64-smoke` calls the same; the emulation itself is too slow for every test run."""

import json

import pytest

from tests.smoke.arm64 import MOST_PROBABILITY, MOST_SAMPLES, Pick, read_picks, verdict

HERE = {("A_EV", "P"): Pick(800, 0.9), ("A_EV", "S"): Pick(1200, 0.6)}


def test_rounding_is_the_same(capsys):
    """Within the tolerance two runs agree, and the differences are printed."""
    there = {("A_EV", "P"): Pick(801, 0.89), ("A_EV", "S"): Pick(1200 - MOST_SAMPLES, 0.6)}
    assert verdict(there, HERE) == 0
    assert (
        "2 of both, 0 of one alone; they differ by 3 samples and 0.010" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    "there",
    [
        {},
        {("A_EV", "P"): Pick(800, 0.9)},
        HERE | {("B_EV", "P"): Pick(10, 0.4)},
        HERE | {("A_EV", "S"): Pick(1200 + MOST_SAMPLES + 1, 0.6)},
        HERE | {("A_EV", "S"): Pick(1200, 0.59 - MOST_PROBABILITY)},
    ],
)
def test_anything_else_is_not(there):
    """Nothing, one pick less, one more, a pick elsewhere, another probability."""
    assert verdict(there, HERE) == 1


def test_the_last_word_on_an_event_counts(tmp_path):
    """What an event was before its end is not compared."""

    def line(kind, sample):
        pick = {"phase": "P", "probability": 0.5, "sim": {"trace_name": "A_EV", "sample": sample}}
        return json.dumps({"type": kind, "picks": [pick]}) + "\n"

    path = tmp_path / "out.jsonl"
    path.write_text(line("new", 700) + line("update", 790) + line("end", 800))
    assert read_picks(path) == {("A_EV", "P"): Pick(800, 0.5)}
