"""Labels of a stretch of samples, and which pick matches one."""

from dataclasses import asdict

import pytest
from eqedge.convert.data.indexing import index_stead
from eqedge.edge.replay.fields import labels_of
from eqedge.edge.replay.labels import Labelled, matches
from eqedge.edge.replay.stead import SteadFile
from hypothesis import given
from hypothesis import strategies as st

from ...support.labelled import write_stead

QUAKE = Labelled(p_arrival_sample=700, s_arrival_sample=1200, coda_end_sample=3000, manual=True)
SAMPLES = st.one_of(st.none(), st.integers(-10_000, 10_000))


@pytest.mark.parametrize(("off", "right"), [(0, True), (50, True), (-50, True), (51, False)])
def test_a_pick_within_half_a_second_matches(off, right):
    """In samples of any rate, and in seconds."""
    assert matches(700 + off, 700, 100.0) is right
    assert matches(350 + off / 2, 350, 50.0) is right
    assert matches(7 + off / 100, 7, 1) is right


@given(p=SAMPLES, s=SAMPLES, coda=SAMPLES, by=st.integers(-10_000, 10_000))
def test_moving_there_and_back_changes_nothing(p, s, coda, by):
    """Labels that there are not stay away; kind and origin stay."""
    one = Labelled(
        kind="noise", p_arrival_sample=p, s_arrival_sample=s, coda_end_sample=coda, manual=True
    )
    assert one.moved(by).moved(-by) == one


@given(first=st.integers(-6000, 6000), length=st.integers(1, 6000))
def test_a_part_has_the_labels_in_it_and_no_other(first, length):
    """The first sample belongs to the part, the one after its last does not."""
    part = QUAKE.inside(first, length)
    for phase in ("P", "S"):
        at = QUAKE.arrival(phase) - first
        assert part.arrival(phase) == (at if 0 <= at < length else None)
    assert part.arrivals() == {
        phase: part.arrival(phase) for phase in ("P", "S") if part.arrival(phase) is not None
    }
    assert part.coda_end_sample in (None, 3000 - first)
    assert (part.kind, part.manual) == ("event", True)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({}, None),
        ({"p_arrival_sample": 0.0, "s_arrival_sample": 5999.0}, None),
        ({"p_arrival_sample": -1.0}, "label outside the trace"),
        ({"p_arrival_sample": 700.0, "s_arrival_sample": 6000.0}, "label outside the trace"),
        ({"p_arrival_sample": 700.0, "s_arrival_sample": 700.0}, "S not after P"),
        ({"p_arrival_sample": -1.0, "kind": "noise"}, None),
    ],
)
def test_labels_that_cannot_be_are_named(labels, problem):
    """Of an earthquake; in noise nobody reads them."""
    assert Labelled(**labels).problem(6000) == problem


def test_a_coda_that_ends_before_p_is_none():
    """As catalogues have it where nobody measured the coda."""
    stated = {"p_arrival_sample": "700", "coda_end_sample": "[[ 0.]]"}
    assert labels_of("a_EV", stated).coda_end_sample is None
    assert labels_of("a_EV", stated | {"coda_end_sample": "[[701.]]"}).coda_end_sample == 701


def test_a_replay_and_the_index_have_the_same_labels(tmp_path):
    """One file, one answer, earthquakes and noise."""
    path = write_stead(tmp_path / "some.hdf5")
    records = {record.trace: record for record in index_stead(path).records}
    with SteadFile(path) as file:
        assert set(records) == set(file.names)
        for name in file.names:
            record, trace = records[name], file.read(name)
            assert record.kind == trace.kind
            if record.kind == "event":
                assert asdict(record.moved(0)) == asdict(trace.moved(0))
