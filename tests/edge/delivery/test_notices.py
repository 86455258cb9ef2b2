"""Troubles are logged when they begin, once an hour while they last, and when they are over."""

import logging

import pytest
from eqedge.edge.delivery import notices
from eqedge.edge.delivery.notices import MOST_LINES, REPEAT_SECONDS, Notices


@pytest.fixture
def now(monkeypatch):
    """A list of one number: the monotonic time."""
    time = [1000.0]
    monkeypatch.setattr(notices.time, "monotonic", lambda: time[0])
    return time


@pytest.fixture
def made(now):
    """Notices of a logger of their own."""
    return Notices(logging.getLogger("eqedge.test"))


def test_a_trouble_that_lasts_is_logged_once_an_hour(made, now, logged):
    """Whatever its text becomes: at the beginning, and after each hour."""
    for _ in range(25):
        made.begin("disk", f"full at {now[0]:g}")
        now[0] += REPEAT_SECONDS / 10 + 1
    assert logged() == ["full at 1000", "full at 4610", "full at 8220"]


def test_each_text_of_a_subject_is_logged_once_an_hour(made, now, logged):
    """Also where texts take turns; another subject has a text of its own."""
    for text in ("a", "a", "b", "b", "a"):
        made.change("link", text)
        made.change("message", "x")
    now[0] += REPEAT_SECONDS + 1
    made.change("link", "a")
    assert logged() == ["a", "x", "b", "a"]


def test_a_text_that_is_never_the_same_is_not_logged_for_ever(made, now, logged):
    """A few of them an hour."""
    for number in range(1000):
        made.change("link", f"packet of {number} bytes")
        now[0] += 1
    assert len(logged()) == MOST_LINES and "not logged for an hour" in logged()[-1]
    now[0] += REPEAT_SECONDS
    made.change("link", "packet of 1000 bytes")
    assert logged()[-1] == "packet of 1000 bytes"


def test_the_end_is_logged_where_there_was_a_beginning(made, logged, caplog):
    """As information, once; the next trouble is logged at once again."""
    made.end("disk", "well again")
    made.begin("disk", "full")
    made.end("disk", "well again")
    made.end("disk", "well again")
    made.begin("disk", "full")
    assert logged() == ["full", "well again", "full"]
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "INFO", "WARNING"]


def test_an_end_without_a_text_is_not_logged(made, logged):
    """It only makes the next trouble a new one."""
    made.begin("rotation", "fails")
    made.end("rotation")
    made.begin("rotation", "fails")
    assert logged() == ["fails", "fails"]


def test_a_trouble_that_ends_and_begins_again_and_again_is_not_logged_for_ever(made, now, logged):
    """A few pairs of lines an hour, and none of its end without one of its beginning."""
    for _ in range(100):
        made.change("topic", "rejected")
        made.end("topic", "accepted again")
        now[0] += 1
    assert len(logged("rejected")) == len(logged("accepted again")) == MOST_LINES
    now[0] += REPEAT_SECONDS
    made.change("topic", "rejected")
    assert logged()[-1] == "rejected"
