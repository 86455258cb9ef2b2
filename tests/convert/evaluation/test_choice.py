import numpy as np
from eqedge.convert.evaluation.choice import best, chosen, halves

from .conftest import score_table, subject

RIGHT, FALSE, MISSED = [2000], [2000, 4000], []


def test_a_threshold_is_never_reported_where_it_was_chosen():
    """Each fold's report is the score of the other half, at its threshold."""
    # even stations need the high threshold, odd ones the low one
    rows = [[FALSE, RIGHT] if k % 2 else [RIGHT, MISSED] for k in range(40)]
    made = score_table(rows)
    result = chosen(made)
    half = halves(made, np.ones(40, bool))[1]
    assert result["halves_by"] == "station" and result["windows"] == [20, 20]
    for fold, on, off in zip(result["P"]["folds"], (half, ~half), (~half, half), strict=True):
        column = best(made.P.rows(on))
        assert fold["threshold"] == made.thresholds[column]
        other = made.P.rows(off).score(column)
        assert fold["on_the_other"]["f1"] == round(other.f1, 4)
        assert fold["on_the_other"]["found"] == other.found


def test_no_station_is_in_both_halves():
    """All windows of a station are on one side, and the sides are about equal."""
    subjects = [subject(k, station=f"S{k % 7}.XX") for k in range(70)]
    made = score_table([[RIGHT, RIGHT]] * 70, subjects)
    kind, half = halves(made, np.ones(70, bool))
    sides = {}
    for who, side in zip(subjects, half.tolist(), strict=True):
        assert sides.setdefault(who.record.station, side) == side
    assert kind == "station" and 30 <= half.sum() <= 40


def test_one_station_is_halved_by_event():
    """Where there is but one station, its events are divided."""
    made = score_table([[RIGHT, RIGHT]] * 8, [subject(k, station="A.XX") for k in range(8)])
    kind, half = halves(made, np.ones(8, bool))
    assert kind == "event" and half.sum() == 4


def test_manually_picked_records_decide_where_there_are_enough():
    """What an automatic catalogue lacks must not drive the threshold up."""
    hand = [[RIGHT, MISSED]] * 24
    automatic = [[FALSE, RIGHT]] * 60
    subjects = [subject(k, manual=k < 24) for k in range(84)]
    result = chosen(score_table(hand + automatic, subjects))
    assert result["rows"] == "manually_picked" and result["P"]["threshold"] == 0.3
    few = chosen(score_table(hand[:4] + automatic, subjects[:4] + subjects[24:]))
    assert few["rows"] == "pooled" and few["P"]["threshold"] == 0.6


def test_a_single_event_chooses_nothing():
    """One event cannot be halved."""
    assert chosen(score_table([[RIGHT, RIGHT]])) is None


def test_of_equals_the_middle_one():
    """Between thresholds that are equally good, the one farthest from the worse."""
    made = score_table(
        [[MISSED, RIGHT, RIGHT, RIGHT, MISSED]], thresholds=(0.1, 0.3, 0.5, 0.7, 0.9)
    )
    assert made.thresholds[best(made.P)] == 0.5
