"""Each labelled arrival counts once, with the tails."""

import pytest
from eqedge.convert.evaluation.arrivals import arrivals
from eqedge.convert.evaluation.summary import table

from .conftest import score_table, subject

LABEL = 2000


def of(windows):
    """Arrivals of windows given as (number of the trace, samples of its picks)."""
    found = score_table([[picks, []] for _, picks in windows], [subject(k) for k, _ in windows])
    return arrivals(found.events, found.P, 0)


def test_an_arrival_in_three_windows_counts_once():
    """Its middle window stands for it: two windows of three without a pick are no pick."""
    result = of([
        (0, [LABEL + 10]), (0, [LABEL - 20]), (0, []),
        (1, []), (1, [LABEL + 1]), (1, []),
    ])  # fmt: skip
    assert (result["labelled"], result["events"], result["without_pick"]) == (2, 2, 1)
    counts = result["histogram"]["counts"]
    assert sum(counts) == 1 and counts[50 - 20] == 1


def test_tails_beyond_half_a_second_are_counted_and_not_cut():
    """50 samples are inside, 51 outside, on either side; the spread has them all."""
    offsets = (-3000, -51, -50, 0, 50, 51, 400)
    result = of([(k, [LABEL + offset]) for k, offset in enumerate(offsets)])
    assert (result["earlier"], result["later"], sum(result["histogram"]["counts"])) == (2, 2, 3)
    assert result["percentiles_s"]["50"] == 0
    assert result["percentiles_s"]["25"] == pytest.approx(-0.505)


def test_the_nearest_of_several_picks_is_taken():
    """Whatever their order; a pick of a trace as long as a day is far, not near."""
    result = of([(0, [100, LABEL + 60, 5000]), (1, [8_000_000])])
    assert (result["later"], result["without_pick"]) == (2, 0)
    assert 0.6 < result["percentiles_s"]["5"] < 20


def test_without_any_pick_there_is_no_spread():
    """And the scores have the field for P and for S."""
    assert of([(0, []), (1, [])])["percentiles_s"] is None
    residuals = table(score_table([[[LABEL], []]]), 0, 0)["residuals"]
    assert residuals["P"]["arrivals"]["labelled"] == residuals["S"]["arrivals"]["labelled"] == 1
