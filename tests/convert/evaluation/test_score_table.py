import numpy as np
import pytest
from eqedge.convert.data.example import onsets
from eqedge.convert.data.indexing import index_stead
from eqedge.convert.data.teacher_labels import TeacherLabels
from eqedge.convert.data.waveforms import WaveformCache
from eqedge.convert.evaluation.score_table import Ledger
from eqedge.convert.evaluation.windowed import cuts_of

from .conftest import subject


def blank(*picks):
    """(6000, 3) probabilities with peaks at (head, sample, height)."""
    answer = np.zeros((6000, 3), np.float32)
    for head, sample, height in picks:
        answer[sample, head] = height
    return answer


@pytest.fixture
def windows(played):
    """All windows of the first event and of the first trace of noise."""
    records = index_stead(played[0]).records
    event = next(r for r in records if r.kind == "event" and r.p_arrival_sample >= 450)
    noise = next(r for r in records if r.kind == "noise")
    return list(cuts_of([event, noise], WaveformCache(budget_bytes=0)))


def test_once_announced_a_p_stays_announced(windows):
    """The first window that has it counts, though the next ones lose it again."""
    ledger = Ledger((0.3,), {}, 0.25)
    onset = [window for window in windows if window.use == "onset"]
    for window in onset:
        found = window.age in (75, 300)
        ledger.add(window, subject(1), blank(*[(1, 6000 - window.age, 0.9)] * found))
    made = ledger.table().onsets
    assert made.first_s[0, 0] == 0.75
    assert [bool(made.announced_at_age[age][0, 0]) for age in (0.5, 0.75, 1.0, 3.0)] == [
        False,
        True,
        False,
        True,
    ]


def test_a_pick_elsewhere_announces_nothing(windows):
    """Only a pick within half a second of the arrival is of it."""
    ledger = Ledger((0.3,), {}, 0.25)
    for window in windows:
        if window.use == "onset":
            ledger.add(window, subject(1), blank((1, 3000, 0.9)))
    assert np.isinf(ledger.table().onsets.first_s).all()


def test_noise_counts_picks_by_threshold_and_those_at_the_edge(windows):
    """Two P, one of them in the last 2 s and weak; one S."""
    ledger = Ledger((0.3, 0.6), {}, 0.25)
    (noise,) = [w for w in windows if w.use == "noise" and w.record.kind == "noise"]
    ledger.add(noise, subject(1), blank((1, 1000, 0.9), (1, 5900, 0.4), (2, 3000, 0.7)))
    made = ledger.table().noise
    assert made.p.tolist() == [[2, 1]] and made.s.tolist() == [[1, 1]]
    assert made.late_p.tolist() == [[1, 0]] and made.seconds.tolist() == [60.0]


def test_teachers_mark_unlabelled_events_in_the_windows_own_samples(windows):
    """A pick where the teachers have one is false strictly, and not with those set aside."""
    window = next(w for w in windows if w.use == "event")
    p = int(window.labels.p_arrival_sample)
    elsewhere = (p + 2500) % 5000
    taught = TeacherLabels(
        onsets((elsewhere + window.first, 0.9)), onsets(), np.zeros(600, np.float32)
    )
    ledger = Ledger((0.3,), {(window.record.path, window.record.key): [taught]}, 0.25)
    ledger.add(window, subject(1), blank((1, p, 0.9), (1, elsewhere, 0.9)))
    made = ledger.table().P
    assert (made.false[0, 0], made.false_set_aside[0, 0], bool(made.hit[0, 0])) == (1, 0, True)
