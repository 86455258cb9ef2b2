import numpy as np
import pytest
from eqedge.convert.data.example import onsets
from eqedge.convert.data.indexing import index_stead
from eqedge.convert.data.records import Index, Record
from eqedge.convert.data.teacher_labels import TeacherLabels
from eqedge.convert.training.score import EventWindow, Trial, make_trial, score
from eqedge.convert.training.session import SCORED_RECORDS, scored_on
from eqedge.edge.replay.labels import Labelled
from eqedge.models.spec import ModelSpec

SPEC = ModelSpec("leqnet_gru", "leqnet-gru")


def answering(*picks):
    """A network that picks (head, sample) in every window."""

    def predict(windows):
        answer = np.zeros((len(windows), 6000, 3), np.float32)
        for head, sample in picks:
            answer[:, sample - 5 : sample + 6, head] = 0.9 - 0.1 * np.abs(np.arange(-5, 6))[None]
        return answer

    return predict


def trial(s=2600, manual=True, **changes):
    """One event in one window."""
    labels = Labelled(p_arrival_sample=2000, s_arrival_sample=s, manual=manual)
    window = EventWindow(np.zeros((6000, 3), np.float32), "x", labels, **changes)
    return Trial(events=[window], teachers="unlabelled" in changes)


def row(result, phase="P", name="pooled"):
    """Counts of one row."""
    return {key: result[phase][name][key] for key in ("found", "missed", "false")}


def test_a_pick_within_half_a_second_is_right():
    """50 samples off is found, with its residual; 51 is a miss and a false pick."""
    near, far = score(answering((1, 2050)), trial()), score(answering((1, 2051)), trial())
    assert row(near) == {"found": 1, "missed": 0, "false": 0}
    assert near["P"]["pooled"]["mean_absolute_s"] == pytest.approx(0.5)
    assert row(far) == {"found": 0, "missed": 1, "false": 1}


def test_any_other_pick_is_false():
    """A second pick in the window lowers precision."""
    result = score(answering((1, 2000), (1, 4000)), trial())
    assert row(result) == {"found": 1, "missed": 0, "false": 1}
    assert result["P"]["pooled"]["f1"] == pytest.approx(2 / 3, abs=1e-4)


def test_records_without_an_s_label_do_not_count_for_s():
    """Without a label of S its picks are neither right nor false."""
    result = score(answering((2, 2600)), trial(s=None))
    assert row(result, "S") == {"found": 0, "missed": 0, "false": 0}


def test_unlabelled_earthquakes_are_set_aside_in_a_row_of_their_own():
    """The strict row counts them as false; the other one does not."""
    case = trial(unlabelled=(np.array([4020]), np.array([], np.int64)), manual=False)
    result = score(answering((1, 2000), (1, 4000)), case)
    assert row(result)["false"] == 1
    assert row(result, name="unlabelled_set_aside")["false"] == 0
    assert "unlabelled_set_aside" not in score(answering((1, 2000)), trial())["P"]
    assert row(result, name="manually_picked")["found"] == 0


def test_false_picks_per_hour_of_noise():
    """One pick in each of 60 windows of a minute is 60 an hour, those at the edge counted apart."""
    quiet = Trial(noise=[np.zeros((6000, 3), np.float32)] * 60)
    result = score(answering((1, 5900)), quiet)
    assert result["noise"]["false_p_per_hour"] == 60
    assert result["noise"]["of_these_in_last_2_s"] == 60


def test_announced_by_the_age_of_the_onset():
    """A network that marks the sample one second before the end announces at 1 s alone."""
    blank = np.zeros((6000, 3), np.float32)
    case = Trial(onsets=[(age, blank) for age in (50, 100, 200, 300, 500)])
    announced = score(answering((1, 5900)), case)["announced_by_s"]
    assert announced == {"0.5": 1.0, "1": 1.0, "2": 0.0, "3": 0.0, "5": 0.0}
    few = Trial(onsets=case.onsets[:2])
    assert score(answering((1, 5900)), few)["announced_by_s"] == {"0.5": 1.0, "1": 1.0}


def test_trial_is_the_same_for_every_network_and_p_moves(stead_file):
    """The seed fixes the windows; P is not at one place."""
    records = index_stead(stead_file).records
    one, other = (make_trial(records, {}, SPEC, seed=4, draws=3) for _ in range(2))
    assert [e.labels for e in one.events] == [e.labels for e in other.events]
    assert len(one.events) == 18 and len(one.noise) == 3
    assert all(
        np.array_equal(a.window, b.window) for a, b in zip(one.events, other.events, strict=True)
    )


def test_onset_windows_end_after_p(stead_file):
    """Beyond the P's age there is nothing: the window's last sample is now."""
    made = make_trial(index_stead(stead_file).records, {}, SPEC, seed=4)
    for age, window in made.onsets:
        assert window.shape == (6000, 3)
        before, after = window[: 6000 - age - 5], window[6000 - age :]
        if age >= 100:
            assert np.abs(after).max() > np.abs(before).max()


def test_teachers_must_agree_on_an_unlabelled_event(stead_file):
    """A pick of one teacher alone is still a false pick."""
    record = next(r for r in index_stead(stead_file).records if r.kind == "event")
    yes = TeacherLabels(onsets((4000, 0.9)), onsets(), np.zeros(600, np.float32))
    no = TeacherLabels(onsets(), onsets(), np.zeros(600, np.float32))
    key = (record.path, record.key)
    both = make_trial([record], {key: [yes, yes]}, SPEC, 0).events[0]
    single = make_trial([record], {key: [yes, no]}, SPEC, 0).events[0]
    assert len(both.unlabelled[0]) == 1 and len(single.unlabelled[0]) == 0


def test_a_training_is_scored_on_a_bounded_number():
    """All held-out records where they are few; of STEAD's a part, from first to last station."""
    names = [f"S{k:04d}.XX" for k in range(4000)]
    records = [
        Record("f", f"data/{name}", 0, 6000, name, "set", p_arrival_sample=900) for name in names
    ]
    held = Index(records).held_out()
    assert scored_on(Index(held[:300])) == held[:300]
    some = scored_on(Index(records))
    assert SCORED_RECORDS / 2 < len(some) <= SCORED_RECORDS < len(held)
    assert set(some) <= set(held)
    assert held.index(some[0]) == 0 and held.index(some[-1]) > len(held) - 3
