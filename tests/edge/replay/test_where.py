"""Expressions over the fields of a trace."""

from contextlib import suppress

import pytest
from eqedge.edge.replay.where import Where, WhereError
from hypothesis import given
from hypothesis import strategies as st

FIELDS = {
    "snr_db": "[12.0 14.0 10.0]",
    "source_distance_km": "45.5",
    "network_code": "CI",
    "receiver_code": "007",
    "source_magnitude": 2.5,
    "p_arrival_sample": 700.0,
    "s_arrival_sample": "900",
    "trace_start_time": "2020-01-07 08:24:26",
    "source_id": "None",
}


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("snr_db > 10 and source_distance_km < 100", True),
        ("snr_db > 12", False),
        ("snr_db >= 12", True),
        ("10 < snr_db < 13", True),
        ("(snr_db > 10) & ~(network_code == 'NC')", True),
        ("(snr_db > 99) | (network_code == 'CI')", True),
        ("network_code in ['NC', 'CI']", True),
        ("network_code not in ('NC', 'CI')", False),
        ("source_magnitude in [2.5, 3]", True),
        ("s_arrival_sample - p_arrival_sample < 500", True),
        ("s_arrival_sample / p_arrival_sample > 2", False),
        ("p_arrival_sample / (s_arrival_sample - 900) > 0", False),
        ("trace_start_time >= '2020-01-01'", True),
        ("not source_magnitude < 2", True),
        ("source_magnitude == -2.5", False),
        ("gone > 1", False),
        ("gone < 1", False),
        ("gone != 1", True),
        ("source_id == 'None'", False),
        ("network_code > 3", False),
        ("snr_db > 10 & source_magnitude < 3", True),
        ("snr_db > 99 | source_magnitude < 3", True),
        ("snr_db > 99 && source_magnitude < 3", False),
        ("network_code == ['NC', 'CI']", True),
        ("network_code != ['NC', 'CI']", False),
        ("SNR_dB > 10 and Network_Code == 'CI'", True),
        ("source_id.isna() & snr_db.notna()", True),
        ("~p_arrival_sample.isnull()", True),
        ("gone.notnull() or snr_db.isna()", False),
        ("`snr_db` > 10\n and `network_code` != 'A & `B` | C'", True),
    ],
)
def test_an_expression_accepts_as_pandas_does(text, accepted):
    """Numbers in text are numbers, and what is not stated fulfils only `!=`."""
    assert Where(text).accepts(FIELDS) is accepted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "snr_db",
        "snr_db >",
        "snr_db > 10 and",
        "3",
        "__import__('os').system('true') == 0",
        "snr_db.real > 1",
        "snr_db[0] > 1",
        "[x for x in 'ab'] == 1",
        "(lambda: 1)() == 1",
        "snr_db in 'abc'",
        "snr_db > [1]",
        "snr_db is None",
        "snr_db.isna",
        "snr_db.isna(1)",
        "snr_db.isna() > 1",
        "(snr_db > 1).isna()",
        "network_code.str.contains('C')",
        "isna(snr_db)",
        "snr_db ** 2 > 1",
        "snr_db = 3",
        "f'{snr_db}' == 'a'",
        "(snr_db := 3) > 1",
        "not " * 3000 + "snr_db > 1",
        "snr_db > " + "(" * 300 + "1" + ")" * 300,
    ],
)
def test_anything_else_is_refused_in_one_line(text):
    """Nothing of Python but comparisons is run."""
    with pytest.raises(WhereError, match="--where") as caught:
        Where(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2300


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_our_error(text):
    """No other exception."""
    with suppress(WhereError):
        Where(text).accepts(FIELDS)


def test_the_fields_of_an_expression():
    """What has to be read of a trace."""
    assert Where("snr_db > 1 or a + snr_db < b").fields == ("snr_db", "b", "a")
