"""How two models are compared, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from eqedge.convert.data.windows import WindowSet
from eqedge.convert.proof.agreement import (
    LIMIT,
    LOSSLESS,
    Agreement,
    HeadAgreement,
    disagreement,
)
from eqedge.convert.proof.verify import _head_agreement
from eqedge.edge.replay.labels import Labelled


def bump(*centres, height=0.9, width=30):
    """Return a curve of 6000 samples with a bump at each centre."""
    steps = np.arange(6000)
    curve = sum(height * np.exp(-0.5 * ((steps - c) / width) ** 2) for c in centres)
    return np.asarray(curve, dtype=np.float32)


NOISE = Labelled(kind="noise")


def event(p, s=None):
    """Return the labels of a window with these arrivals."""
    return Labelled(p_arrival_sample=p, s_arrival_sample=s)


def head_agreement(head, before, after, threshold, labels=None):
    """Compare curves of windows that no catalogue knows of, or that have these labels."""
    n = len(before)
    windows = WindowSet(np.zeros((n, 1, 3)), np.zeros(n, bool), tuple(labels or [None] * n), n)
    return _head_agreement(head, before, after, threshold, windows)


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


def test_f1_is_by_the_labels():
    """A pick within half a second of its label is right, any other in its window false."""
    labels = [event(1000, 1800), event(2000), event(3000, 3900), NOISE]
    before = [bump(1010), bump(2000), bump(3049), bump()]
    after = [bump(1010), bump(2051), bump(3000, 5000), bump(700)]
    found = head_agreement("P", before, after, 0.3, labels)
    assert (found.labels, found.float_f1) == (3, 1.0)
    # two found, one missed, two false; noise counts by its detections
    assert found.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    assert found.f1_lost_points == pytest.approx(100 * 3 / 7)
    late = [bump(1800), bump(2600), bump(3900), bump()]
    assert head_agreement("S", late, late, 0.3, labels).labels == 2


def test_detection_is_scored_by_windows():
    """An event's window wants a stretch over its arrivals, a window of noise wants none."""
    labels = [event(1000, 1800), event(2000), NOISE, NOISE]
    curves = [bump(1400, width=200), bump(4000, width=200), bump(100, 5000), bump()]
    scored = head_agreement("detection", curves, curves, 0.5, labels)
    # one found, one missed, one window of noise detected, however often
    assert scored.labels == 2
    assert scored.f1 == pytest.approx(2 / (2 + 1 + 1))


def test_windows_that_cannot_be_scored_are_not():
    """A mirrored piece holds its arrivals twice: nothing in it can be called false."""
    found = head_agreement("P", [bump(900, 3000)], [bump(3000)], 0.3, [None])
    assert (found.labels, found.f1, found.f1_lost_points) == (0, None, 0.0)


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
        ({"heads": {"S": {"labels": 40, "float_f1": 0.9, "f1": 0.84}}}, "S: F1 by 40 labels 0.900"),
        ({"noise_added": 7}, "7 of 50 windows newly detected"),
    ],
)
def test_each_limit_has_its_reason(changes, reason):
    """The first limit missed is named with both numbers."""
    assert disagreement(agreement(**changes)) is not None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(disagreement(agreement(**changes)))


def test_one_label_of_few_is_no_loss():
    """Where a single label makes more than the limit, it alone refuses nothing."""
    few = {"P": {"labels": 30, "float_f1": 0.95, "f1": 0.92}}
    assert disagreement(agreement(heads=few), LOSSLESS) is None
    assert disagreement(agreement(heads={"P": few["P"] | {"f1": 0.91}}), LOSSLESS) is not None


def test_the_card_states_what_was_compared():
    """JSON of plain numbers, the limit among them."""
    plain = agreement().to_json()
    assert plain["heads"]["P"]["kept"] == 100
    assert plain["loss"] is None
    assert (plain["latency_ratio"], plain["limit"]["kept_fraction"]) == (0.5, LIMIT.kept_fraction)
    assert "latency_ratio" not in agreement(latency_ms=None).to_json()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"heads": {"P": {"kept": 98, "lost": 2}}}, "98 of 100 kept"),
        ({"heads": {"S": {"labels": 300, "float_f1": 0.95, "f1": 0.944}}}, "0.5 points"),
        ({"heads": {"P": {"shift_median_samples": 2.0}}}, "median shift 2"),
        ({"heads": {"P": {"shift_p95_samples": 6.0}}}, "limit is 5"),
        ({"noise_added": 1}, "1 of 50 windows newly detected"),
    ],
)
def test_without_loss_is_a_stricter_limit(changes, reason):
    """What may be written is not yet without loss, and the card records which it is."""
    found = agreement(**changes)
    assert disagreement(found) is None
    assert reason in (disagreement(found, LOSSLESS) or "")
    assert found.to_json()["loss"] == disagreement(found, LOSSLESS)
