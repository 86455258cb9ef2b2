import numpy as np
import pytest
from eqedge.convert.evaluation.score_table import Noise, Onsets
from eqedge.convert.evaluation.summary import named, of_network, table

from .conftest import score_table, subject

RIGHT, FALSE, MISSED = [2010], [2000, 4000], []


def test_the_keys_are_those_of_the_training_card():
    """Rows by data set, manually picked and set aside; the names are the card's."""
    subjects = [subject(k, source="ab"[k % 2], manual=k < 2) for k in range(4)]
    result = table(score_table([[RIGHT, RIGHT]] * 4, subjects), 0, 0)
    assert set(result["P"]) == {"pooled", "manually_picked", "a", "b"}
    assert result["P"]["pooled"]["found"] == 4 and result["P"]["a"]["found"] == 2
    assert result["P"]["manually_picked"]["found"] == 2


def test_each_phase_has_its_own_threshold():
    """The pair's first column is P's, its second S's."""
    levels = {"pair": (0.3, 0.3, 0.6)}
    result = of_network(score_table([[RIGHT, MISSED]] * 3), levels)["scores"]["pair"]
    assert result["P"]["pooled"]["found"] == 3 and result["S"]["pooled"]["missed"] == 3
    assert named([(0.5, 0.3, 0.25), (0.5, 0.3, 0.25), (0.4, 0.3, 0.25)]) == {
        "P 0.3, S 0.25": (0.5, 0.3, 0.25),
        "P 0.3, S 0.25, detection 0.4": (0.4, 0.3, 0.25),
    }


def test_residuals_keep_their_sign():
    """Ten samples late are +0.1 s, in the bar that is ten steps after the middle."""
    result = table(score_table([[RIGHT, RIGHT]] * 2), 0, 0)["residuals"]["P"]
    assert result["mean_s"] == pytest.approx(0.1) and result["picks"] == 2
    histogram = result["histogram"]
    at = histogram["counts"].index(2)
    assert histogram["first_s"] + at * histogram["step_s"] == pytest.approx(0.1)
    assert sum(histogram["counts"]) == 2


def test_noise_an_hour_and_a_day():
    """Three picks in half an hour are 6 an hour and 144 a day."""
    counts = np.array([[3, 0], [0, 0]], np.int32)
    noise = Noise(("a", "b"), np.full(2, 900.0), counts, counts * 0, counts * 0)
    result = table(score_table([], [], noise=noise), 0, 1)["noise"]
    assert result["false_p_per_hour"] == 6 and result["false_p_per_day"] == 144
    assert result["false_s_per_hour"] == 0
    low, high = result["interval"]["false_p_per_hour"]
    assert low < 6 < high


def test_events_stand_in_the_bins_of_their_attributes():
    """The edges belong to the bin above; events without the fact are in none."""
    magnitudes = [0.5, 1.0, 1.9, 5.0, None]
    subjects = [
        subject(k, facts={} if m is None else {"magnitude": m}) for k, m in enumerate(magnitudes)
    ]
    rows = table(score_table([[RIGHT, RIGHT]] * 5, subjects), 0, 0)["by"]["magnitude"]
    assert [(row["from"], row["to"], row["windows"]) for row in rows] == [
        (None, 1, 1), (1, 2, 2), (4, None, 1)
    ]  # fmt: skip
    assert rows[1]["P"]["found"] == 2


def test_onset_shares_never_fall():
    """The curve of announced P rises with time, and its median is of all events."""
    first = np.array([[0.25], [0.75], [4.0], [np.inf]]) * np.ones(2)
    result = table(score_table([], [], onsets=Onsets(tuple("abcd"), 0.25, first)), 0, 0)[
        "live_onset"
    ]
    assert result["announced_by_s"] == {"0.5": 0.25, "1": 0.5, "2": 0.5, "3": 0.5, "5": 0.75}
    assert result["median_s"] == pytest.approx(2.375)
    assert np.all(np.diff(result["curve"]["announced"]) >= 0)


def test_the_sweep_has_a_column_a_threshold():
    """Precision and recall of each threshold, and what it costs in noise."""
    counts = np.array([[4, 1]], np.int32)
    noise = Noise(("a",), np.array([3600.0]), counts, counts, counts)
    result = of_network(score_table([[FALSE, RIGHT], [FALSE, MISSED]], noise=noise), {})["sweep"]
    assert result["threshold"] == [0.3, 0.6]
    assert result["P"]["pooled"]["recall"] == [1.0, 0.5]
    assert result["P"]["pooled"]["precision"] == [0.5, 1.0]
    assert result["false_p_per_hour"] == [4.0, 1.0]
