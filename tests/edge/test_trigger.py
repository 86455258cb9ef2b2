"""Curves of probability become events with a life: new, update, end."""

import pytest
from eqedge.edge.settings.node import TriggerSettings
from eqedge.edge.settings.validation import SettingsError
from eqedge.edge.trigger import thresholds_of
from eqedge.models.spec import ModelSpec, Thresholds
from hypothesis import given, settings
from hypothesis import strategies as st

from .curves import LENGTH, RATE, arrivals, last_of_each, messages, stream


def test_an_event_lives_from_new_over_update_to_end():
    """P opens an event, S comes as an update, and the end closes it, all under one id."""
    triggers = messages(stream(120, {"p": 7000, "s": 7800}))
    assert [trigger.type for trigger in triggers] == ["new", "update", "end"]
    assert {trigger.event_id for trigger in triggers} == {triggers[0].event_id}
    assert [trigger.sequence for trigger in triggers] == [0, 1, 2]
    assert arrivals(triggers[0]) == {"P": 7000}
    assert arrivals(triggers[-1]) == {"P": 7000, "S": 7800}
    assert triggers[-1].detection_probability == pytest.approx(0.95, abs=0.01)


def test_new_waits_for_as_many_windows_as_set():
    """With three windows to confirm, `new` comes one hop later than with two."""
    curves = stream(100, {"p": 7010, "s": 7600})
    news = {
        n: messages(curves, confirm_windows=n, confirm_seconds=0)[0].window.end_sample
        for n in (1, 2, 3)
    }
    assert news[2] - news[1] == RATE
    assert news[3] - news[2] == RATE


@given(
    st.integers(7000, 7100),
    st.sampled_from([10, 25, 50, 100, 250]),
    st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    st.integers(1, 4),
)
@settings(deadline=None, max_examples=12)
def test_new_waits_as_many_seconds_as_set_whatever_the_hop(p, hop, seconds, windows):
    """`new` comes with the first window that has both: enough signal, and enough windows."""
    triggers = messages(
        stream(100, {"p": p, "s": 7600}),
        hop,
        confirm_seconds=seconds,
        confirm_windows=windows,
        min_duration_seconds=0,
    )
    waited = triggers[0].window.end_sample - p
    longest = max(seconds * RATE, (windows - 1) * hop)
    assert longest <= waited <= longest + hop + 0.1 * RATE


def test_a_pick_that_fades_before_it_is_confirmed_is_no_event():
    """What only the edge of a window took for a P is gone when the next seconds have come."""
    edge = stream(100, {"p": 7000, "s": None, "until": 7400})
    fading = {"curves_later": (7050, stream(100)), "min_duration_seconds": 0.1}
    assert messages(edge, 25, **fading, confirm_seconds=0, confirm_windows=1)
    assert messages(edge, 25, **fading) == []


def test_a_pick_without_detection_is_no_event():
    """A P peak where detection stays low opens nothing."""
    assert messages(stream(100, {"p": 7000, "dh": 0.2})) == []


def test_a_knock_is_no_event():
    """Detection shorter than the least duration opens nothing."""
    assert messages(stream(100, {"p": 7000, "until": 7030})) == []
    assert messages(stream(100, {"p": 7000, "until": 7080})) != []


def test_two_peaks_within_the_refractory_time_are_one_event():
    """A second P two seconds after the first is taken for the same event."""
    curves = stream(120, {"p": 7000, "s": 7900}, {"p": 7200, "ph": 0.6})
    assert len(last_of_each(messages(curves))) == 1


@pytest.mark.parametrize("hop", [3, 5, 20])
def test_a_pick_that_leaves_the_window_is_not_reported_again(hop):
    """At short hops the flank of its peak stands alone at the window's beginning for a while."""
    triggers = messages(stream(140, {"p": 7000, "s": 7600}, {"s": 7150, "dh": 0.9}), hop)
    assert len(last_of_each(triggers)) == 1


def test_neighbouring_events_stay_apart():
    """Two events twelve seconds apart give two ids, each with its own P and S."""
    triggers = last_of_each(messages(stream(120, {"p": 7000, "s": 7400}, {"p": 8200, "s": 8700})))
    assert [arrivals(t) for t in triggers.values()] == [
        {"P": 7000, "S": 7400},
        {"P": 8200, "S": 8700},
    ]


def test_an_s_before_its_p_belongs_to_nobody_elses_event():
    """An S that precedes the P is not attached to it."""
    triggers = last_of_each(messages(stream(120, {"p": 7500, "s": None}, {"s": 7000, "dh": 0.1})))
    assert [arrivals(t) for t in triggers.values()] == [{"P": 7500}]


def test_an_s_without_p_opens_an_event_after_waiting():
    """An S alone becomes an event once a P could have shown itself, and not before."""
    triggers = messages(stream(120, {"s": 7500, "since": 7400}))
    assert arrivals(triggers[0]) == {"S": 7500}
    assert triggers[0].window.end_sample - 7500 >= 6 * RATE


def test_a_p_that_shows_itself_late_joins_its_s():
    """An event that opened with its S takes the P when the stack becomes sure of it."""
    early = stream(150, {"s": 7500, "since": 7400})
    late = stream(150, {"p": 7200, "s": 7500, "since": 7190, "ph": 0.9})
    triggers = messages(early, curves_later=(8600, late))
    assert arrivals(triggers[0]) == {"S": 7500}
    assert arrivals(triggers[-1]) == {"P": 7200, "S": 7500}
    assert len(last_of_each(triggers)) == 1


def test_an_s_that_shows_itself_late_waits_for_its_p_too():
    """An event that opens long after its S does not end at once: its P may be on the way."""
    nothing = stream(160)
    both = stream(160, {"p": 7200, "s": 7500, "since": 7190, "ph": 0.45, "sh": 0.9})
    triggers = messages(nothing, curves_later=(9000, both))
    assert arrivals(triggers[0]) == {"S": 7500}
    assert triggers[0].window.end_sample - 7500 > 20 * RATE
    assert arrivals(triggers[-1]) == {"P": 7200, "S": 7500}
    assert len(last_of_each(triggers)) == 1


def test_one_onset_gets_the_likelier_phase():
    """Where P and S peak on the same sample only the more probable one is reported."""
    triggers = last_of_each(messages(stream(120, {"p": 7000, "s": 7010, "sh": 0.5, "until": 7600})))
    assert [arrivals(t) for t in triggers.values()] == [{"P": 7000}]


def test_a_better_s_replaces_a_weaker_one():
    """A false early S gives way to the true one in an update."""
    triggers = messages(stream(120, {"p": 7000, "s": 7900}, {"s": 7300, "sh": 0.4}))
    assert arrivals(last_of_each(triggers)[triggers[0].event_id]) == {"P": 7000, "S": 7900}


def test_the_end_of_a_segment_ends_its_events():
    """When the stream breaks off, an open event is reported and closed with what is known."""
    triggers = messages(stream(80, {"p": 7900, "s": 7980}))
    assert [trigger.type for trigger in triggers][-1] == "end"
    assert arrivals(triggers[-1])["P"] == 7900


def test_an_event_that_never_falls_quiet_ends_with_the_window():
    """Detection that stays on for minutes cannot keep an event open for ever."""
    triggers = messages(stream(240, {"p": 7000, "s": 7500, "until": 23900}), close=False)
    ends = [trigger for trigger in triggers if trigger.type == "end"]
    assert ends and ends[0].window.first_sample <= 7000 + 2 * RATE


def test_a_preset_that_the_card_lacks_is_named():
    """A preset that the model does not have: the error names those it has."""
    spec = ModelSpec("m", "leqnet-gru", thresholds={"default": Thresholds()})
    with pytest.raises(SettingsError, match="preset 'loud': model m has default"):
        thresholds_of(TriggerSettings(preset="loud"), spec)
    own = thresholds_of(TriggerSettings(P_threshold=0.7), spec)
    assert own == Thresholds(P_threshold=0.7)


@settings(max_examples=25, deadline=None)
@given(
    p=st.integers(6100, 9000),
    separation=st.integers(60, 2500),
    later=st.none() | st.integers(2000, 5000),
    hop=st.sampled_from([50, 100, 130, 200]),
)
def test_every_event_is_reported_once_whatever_the_hop(p, separation, later, hop):
    """Any event, alone or followed by another, gets one id, ascending sequence and one end."""
    events = [{"p": p, "s": p + separation}]
    if later is not None:
        second = p + round(1.4 * separation) + 100 + later
        events.append({"p": second, "s": second + 300})
    triggers = messages(stream(300, *events), hop)
    found = last_of_each(triggers)
    assert len(found) == len(events)
    for event, last in zip(events, found.values(), strict=True):
        assert arrivals(last) == {"P": event["p"], "S": event["s"]}
    for event_id in found:
        own = [trigger for trigger in triggers if trigger.event_id == event_id]
        assert [trigger.sequence for trigger in own] == list(range(len(own)))
        assert [trigger.type for trigger in own].count("new") == 1
        assert own[0].type == "new"
        assert [trigger.type for trigger in own].count("end") == 1
        assert own[-1].type == "end"


def test_the_window_is_long_enough_for_these_tests():
    """The curves assume the network's own window."""
    assert ModelSpec("m", "leqnet-gru").window_samples == LENGTH
