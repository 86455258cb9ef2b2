"""Nanoseconds since 1970, moments and texts of UTC stand for the same instants."""

from datetime import UTC, datetime

import numpy as np
import pytest
from eqedge.edge.replay.values import parse_time
from eqedge.edge.utc import stead_text, utc_moment, utc_ns, utc_text
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_utc_text_is_iso_with_microseconds(time_ns):
    """Sorted as text it is sorted in time, and numpy reads the same instant."""
    text = utc_text(time_ns)
    assert np.datetime64(text.rstrip("Z"), "ns").astype(np.int64) == time_ns // 1000 * 1000
    assert text < utc_text(time_ns + 1000)


@given(st.integers(-2_000_000_000_000_000_000, 4_000_000_000_000_000_000))
def test_a_moment_and_its_nanoseconds_are_one_instant(time_ns):
    """Also before 1970; what is below a microsecond is cut off."""
    assert utc_ns(utc_moment(time_ns)) == time_ns // 1000 * 1000


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_steads_text_is_read_as_it_was_written(time_ns):
    """To the microsecond: a recording is replayed at the time it was made."""
    assert parse_time(stead_text(utc_moment(time_ns))) == time_ns // 1000 * 1000


def test_the_texts_of_one_instant():
    """A message has ISO 8601, a file STEAD's form; both always have six decimals."""
    moment = datetime(2026, 11, 23, 1, 14, 27, 120, tzinfo=UTC)
    assert utc_text(utc_ns(moment)) == "2026-11-23T01:14:27.000120Z"
    assert stead_text(moment) == "2026-11-23 01:14:27.000120"
    assert utc_text(0) == "1970-01-01T00:00:00.000000Z"


def test_a_time_without_zone_or_out_of_range_is_an_error():
    """Neither is guessed."""
    with pytest.raises(TypeError):
        utc_ns(datetime(2026, 11, 23))
    with pytest.raises(OverflowError):
        utc_text(10**21)
