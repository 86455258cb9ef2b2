"""Fields of a trace in the forms in which programs write them."""

import h5py
import numpy as np
import pytest
from eqedge.edge.replay.field_names import RATE_FIELDS
from eqedge.edge.replay.fields import (
    TraceError,
    by_steads_names,
    differ,
    rate_of,
    unreadable_fields,
)
from eqedge.edge.replay.values import number, parse_time, stated
from hypothesis import given, settings
from hypothesis import strategies as st

MOMENT = 1_578_385_466_120_000_000
"""2020-01-07 08:24:26.12."""


@settings(max_examples=200)
@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.binary(), st.just([])))
def test_number_never_raises(value):
    """Whatever an attribute holds, it is a finite number or None."""
    result = number(value)
    assert result is None or np.isfinite(result)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_reads_what_python_writes(value):
    """Also in brackets, as STEAD writes arrays."""
    assert number(str(value)) == value == number(f"[[{value!r}]]") == number(np.array([[value]]))


@given(st.text())
def test_parse_time_never_raises(text):
    """Text that is not a time is None."""
    parse_time(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01 00:00:00", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2006-07-23 15:58:59.070000", 1_153_670_339_070_000_000),
        ("0001-01-01 00:00:00", None),
        ("9999-12-31 23:59:59", None),
        ("tomorrow", None),
        ("07.01.2020 08:24", None),
        ("2019-366", None),
        ("2020-13-01", None),
        ("2020-01-07 08:24:60", None),
        (0, None),
        (-5.0, None),
        (True, None),
        (1e30, None),
        (43837.350302, None),
        (2020, None),
        ("2020", None),
        ("", None),
        (None, None),
    ],
)
def test_times(text, nanoseconds):
    """With and without fraction and zone; a year without seismograms gives None."""
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize(
    "value",
    [
        "2020-01-07 08:24:26.120000",
        "2020-01-07T08:24:26.120000+00:00",
        "2020-01-07T08:24:26.120000000",
        "2020-01-07T13:54:26.12+05:30",
        "2020-01-07T07:24:26.12-01",
        "2020/01/07 08:24:26.12",
        "2020-01-07 08:24:26,12 UTC",
        "20200107T082426.12",
        "2020-007T08:24:26.12Z",
        "2020,007,08:24:26.12",
        b"2020-01-07T08:24:26.12Z",
        np.array([b"2020-01-07 08:24:26.120000"]),
        np.array("2020-01-07 08:24:26.120000", dtype="S26"),
        1578385466.12,
        "1578385466.12",
        1_578_385_466_120,
        np.int64(MOMENT),
        1.57838546612e15,
    ],
)
def test_forms_of_one_time(value):
    """ISO with zone and nanoseconds, slashes, day of the year, numbers since 1970, arrays."""
    assert parse_time(value) == MOMENT


def test_times_of_less_detail_and_leap_seconds():
    """To the minute and to the day; a leap second is the first of the next day."""
    assert parse_time("2020-01-07 08:24") == MOMENT - 26_120_000_000
    assert parse_time("2020-01-07") == MOMENT // (86_400 * 10**9) * 86_400 * 10**9
    assert parse_time("2016-12-31 23:59:60.5") == parse_time("2017-01-01 00:00:00.5")
    assert parse_time("2020-01-07T08:24:26.123456789") == MOMENT + 3_456_789


@pytest.mark.parametrize(
    "value", [50, "50", "50.0 Hz", "50 sps", "50,0", "[50.]", b"50", np.array([50.0]), [50.0]]
)
@pytest.mark.parametrize("field", RATE_FIELDS)
def test_forms_of_one_rate(field, value):
    """Whatever the name and the form, one reading."""
    assert rate_of("a", {field: value}) == 50.0


@pytest.mark.parametrize("value", ["", "NaN", "nan", None, "None", np.nan, h5py.Empty("f8"), []])
def test_a_rate_that_is_not_stated_is_steads(value):
    """Empty attributes and what stands for nothing."""
    assert rate_of("a", {"sampling_rate_hz": value}) == 100.0
    assert not stated(value)


def test_an_interval_states_a_rate():
    """SeisBench's and ObsPy's other field; float32 does not spoil it."""
    assert rate_of("a", {"trace_dt_s": np.float32(0.01)}) == 100.0
    assert rate_of("a", {"delta": "0.005"}) == 200.0


@pytest.mark.parametrize(
    "value", ["fast", "0.1 kHz", "50 or 100", 0, -100.0, 1e9, "50Hz?", True, [50, 50, 40]]
)
def test_what_is_no_rate_is_named(value):
    """Field and value; a number of another unit is not taken for hertz."""
    with pytest.raises(TraceError, match=r"trace a: sampling_rate_hz .* is not a sampling rate"):
        rate_of("a", {"sampling_rate_hz": value})


def test_two_rates_that_contradict_are_named():
    """Which of them is right, nobody knows."""
    fields = {"sampling_rate_hz": 100.0, "trace_dt_s": 0.02}
    with pytest.raises(TraceError, match="sampling_rate_hz states 100 Hz, trace_dt_s 50 Hz"):
        rate_of("a", fields)
    assert rate_of("a", {"sampling_rate_hz": 100.0, "trace_dt_s": 0.01}) == 100.0


@pytest.mark.parametrize("text", ["700 samples", "2006-07-23", "P at 700", "7e", "1 2 x"])
def test_text_with_more_than_numbers_is_none(text):
    """A date is not sample 2006."""
    assert number(text) is None


def test_many_numbers_before_other_text_end_soon():
    """A pattern that splits digits in more than one way would not end within a person's life."""
    assert number("1234567890 " * 40 + "x") is None


def test_a_label_or_time_that_cannot_be_read_is_named():
    """Not replaced without a word."""
    fields = {"p_arrival_sample": "soon", "s_arrival_sample": "900", "trace_start_time": "noon"}
    p, start = unreadable_fields(fields)
    assert p == "p_arrival_sample 'soon' is not a number, so there is no such label"
    assert start.startswith("trace_start_time 'noon' cannot be read; write it as 2026-01-31")


def test_the_same_in_another_form_does_not_differ():
    """Numbers, texts and times are compared by what they mean."""
    assert not differ("p_arrival_sample", 700.0, "700")
    assert not differ("trace_category", "noise", "Noise ")
    assert not differ("trace_start_time", "2020-01-07 08:24", "2020-01-07T08:24:00Z")
    assert not differ("sampling_rate_hz", 50.0, "50.0 Hz")
    assert differ("coda_end_sample", "[[2896.]]", "2897")


def test_names_are_read_whatever_their_capitals():
    """Of one name the first that is stated counts; equal values in another form do not differ."""
    pairs = [("Fs", "NaN"), ("FS", 50.0), ("fs", "50"), ("P_Arrival_Sample", 700), ("other", 1)]
    fields, twice = by_steads_names(pairs)
    assert fields == {"fs": 50.0, "p_arrival_sample": 700, "other": 1}
    assert twice == {}


def test_two_values_under_one_name_are_named():
    """With both names as they are written."""
    _, twice = by_steads_names([("P_Arrival_Sample", 700.0), ("p_arrival_sample", "701")])
    assert twice == {
        "p_arrival_sample": "P_Arrival_Sample 700.0 and p_arrival_sample '701' differ",
    }
