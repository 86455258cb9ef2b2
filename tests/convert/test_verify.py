"""How two models are compared, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from eqedge.convert.verify import LIMIT, Agreement, HeadAgreement, disagreement
from eqedge.convert.verify import _head_agreement as head_agreement


def bump(*centres, height=0.9, width=30):
    """Return a curve of 6000 samples with a bump at each centre."""
    steps = np.arange(6000)
    curve = sum(height * np.exp(-0.5 * ((steps - c) / width) ** 2) for c in centres)
    return np.asarray(curve, dtype=np.float32)


def test_identical_curves_agree():
    """Nothing is lost, added or shifted."""
    curves = [bump(1000), bump(500, 4000)]
    found = head_agreement("P", curves, curves, 0.3)
    assert (found.kept, found.lost, found.added) == (3, 0, 0)
    assert (found.max_error, found.shift_median_samples, found.shift_p95_samples) == (0, 0, 0)


def test_kept_lost_added_and_shift():
    """A pick is kept within half a second, else it is lost and another one is added."""
    before = [bump(1000), bump(2000), bump(3000), bump()]
    after = [bump(1004), bump(2060), bump(), bump(77)]
    found = head_agreement("P", [*before, bump(9)], [*after, bump(9)], 0.3)
    assert (found.kept, found.lost, found.added) == (2, 2, 2)
    assert found.shift_median_samples == 2
    assert found.max_error == pytest.approx(0.9, abs=0.01)


def test_detections_are_matched_by_overlap():
    """A stretch is the same detection though its highest sample is elsewhere."""
    plateau = bump(2000, width=300)
    found = head_agreement("detection", [plateau], [np.roll(plateau, 90)], 0.5)
    assert (found.kept, found.lost, found.added) == (1, 0, 0)
    assert found.shift_median_samples == pytest.approx(90, abs=1)


def agreement(**changes):
    """Return an agreement without fault, changed."""
    head = HeadAgreement(0.1, 0.001, 100, 0, 0, 0.0, 2.0)
    heads = {name: head for name in ("detection", "P", "S")}
    for name, of_head in changes.pop("heads", {}).items():
        heads[name] = replace(head, **of_head)
    return replace(Agreement(300, 50, 0, heads, 1.0, 2.0), **changes)


def test_agreement_within_the_limit():
    """Whatever the limit allows is allowed to its end."""
    lost = round((1 - LIMIT.kept_fraction) * 100)
    within = {"kept": 100 - lost, "lost": lost, "shift_median_samples": LIMIT.shift_median_samples}
    assert disagreement(agreement()) is None
    assert disagreement(agreement(heads={"P": within})) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"heads": {"P": {"kept": 80, "lost": 20}}}, r"P: 80 of 100 kept \(80.0%\)"),
        ({"heads": {"detection": {"kept": 50, "lost": 50}}}, "detection: 50 of 100"),
        ({"heads": {"S": {"added": 20}}}, "S: 20 added to 100"),
        ({"heads": {"S": {"shift_median_samples": 9.0}}}, "S: median shift 9 samples"),
        ({"heads": {"P": {"shift_p95_samples": 80.0}}}, "P: 95th percentile of the shift 80"),
        ({"heads": {"P": {"kept": 3}}}, "only 3 P picks"),
        ({"noise_added": 7}, "7 of 50 windows newly detected"),
    ],
)
def test_each_limit_has_its_reason(changes, reason):
    """The first limit missed is told with both numbers."""
    assert disagreement(agreement(**changes)) is not None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(disagreement(agreement(**changes)))


def test_the_card_says_what_was_compared():
    """JSON of plain numbers, the limit among them."""
    plain = agreement().to_json()
    assert plain["heads"]["P"]["kept"] == 100
    assert (plain["latency_ratio"], plain["limit"]["kept_fraction"]) == (0.5, LIMIT.kept_fraction)
