"""The threshold of the best F1 is moved to where everybody has it."""

import numpy as np
import pytest
from eqedge.convert.training.centring import CENTRE, best_threshold, shift_to_centre
from eqedge.convert.training.score import EventWindow, Trial
from eqedge.convert.training.student import Student, StudentSettings
from eqedge.edge.replay.labels import Labelled


def answers(windows, right, wrong):
    """A picker sure of the label at 3000 by `right`, and of a false one at 1000 by `wrong`."""
    heads = np.zeros((len(windows), 6000, 3), np.float32)
    heads[:, 3000 - 4 : 3000 + 5, 1:] = right
    heads[: len(windows) // 2, 1000 - 4 : 1000 + 5, 1:] = wrong
    return heads


def trial(manual=True):
    """Ten windows with P at 3000 and S there too."""
    window = np.zeros((6000, 3), np.float32)
    labels = Labelled(p_arrival_sample=3000, s_arrival_sample=3000, manual=manual)
    return Trial([EventWindow(window, "set", labels) for _ in range(10)])


@pytest.mark.parametrize("head", [1, 2])
def test_the_best_threshold_lies_between_right_and_wrong(head):
    """Above what false picks reach, below what right ones do; the middle of it."""
    found = best_threshold(lambda w: answers(w, 0.81, 0.49), trial(), head)
    assert found == pytest.approx(0.65, abs=0.051)


def test_without_manual_picks_nothing_moves():
    """Automatic labels lack events; the threshold stays, and no bias is touched."""
    found = best_threshold(lambda w: answers(w, 0.81, 0.49), trial(manual=False), 1)
    assert found == CENTRE and shift_to_centre(found) == pytest.approx(0.0)


def test_a_lifted_head_answers_the_centre_where_it_answered_the_best():
    """The shipped average's P answers .3 where it answered .6; S and the student stay."""
    student = Student(StudentSettings(), seed=1)
    window = np.random.default_rng(0).standard_normal((1, 6000, 3)).astype(np.float32)
    before = [np.asarray(h) for h in student.averaged().predict_on_batch(window)]
    in_training = [w.copy() for w in student.network.get_weights()]
    student.lift("picker_P", shift_to_centre(0.6))
    detection, p, s = (np.asarray(h) for h in student.averaged().predict_on_batch(window))
    odds = (p / (1 - p)) / (before[1] / (1 - before[1]))
    assert odds == pytest.approx((0.3 / 0.7) / (0.6 / 0.4), rel=1e-3)
    assert np.array_equal(detection, before[0]) and np.array_equal(s, before[2])
    now = student.network.get_weights()
    assert all((a == b).all() for a, b in zip(in_training, now, strict=True))
