import h5py
import numpy as np
import pytest
from eqedge.convert.data.indexing import index_stead
from eqedge.convert.data.records import DataError
from eqedge.convert.evaluation.subjects import Catalogue, facts_of
from eqedge.edge.replay.labels import Labelled


@pytest.mark.parametrize(
    "snr", ["[56.8 55.4 47.4]", "[56.8, 55.4, 47.4]", np.array([56.8, 55.4, 47.4])]
)
def test_snr_is_the_mean_of_three(snr):
    """As STEAD writes it, text or array."""
    assert facts_of({"snr_db": snr}, Labelled(), 100.0)["snr_db"] == pytest.approx(53.2)


def test_what_is_unknown_is_left_out():
    """No fact is made up; S minus P comes from the labels."""
    blank = {"snr_db": "", "source_distance_km": "None", "source_magnitude": float("nan")}
    assert facts_of(blank, Labelled(p_arrival_sample=100), 100.0) == {}
    both = Labelled(p_arrival_sample=100, s_arrival_sample=350)
    assert facts_of(blank, both, 100.0) == {"s_minus_p_s": 2.5}


def test_attributes_lie_over_a_csv_row(data):
    """As in a replay; what only the row has counts, and other traces keep theirs."""
    first, second = [r for r in index_stead(data).records if r.kind == "event"][:2]
    name = first.dataset.removeprefix("data/")
    data.with_suffix(".csv").write_text(
        f"trace_name,source_magnitude,source_id\n{name},4.5,quake\n"
    )
    catalogue = Catalogue(data)
    result, other = catalogue.subject(first), catalogue.subject(second)
    assert 0 < result.facts["magnitude"] != 4.5 and result.event == "quake"
    assert other.event == other.record.trace


@pytest.mark.parametrize("content", [b"", b"name,p\nx,1\n", b"\xff\xfe\x00trace_name"])
def test_a_csv_that_is_not_steads_is_named(data, content):
    """Empty, foreign or binary: one line with the file's name."""
    data.with_suffix(".csv").write_bytes(content)
    with pytest.raises(DataError, match=r"small\.csv"):
        Catalogue(data)


def test_a_file_that_cannot_be_opened_leaves_the_facts_unknown(data):
    """A trace that cannot be read is counted elsewhere; here it only has no facts."""
    record = next(r for r in index_stead(data).records if r.kind == "event")
    with h5py.File(data, "a") as file:
        del file[record.dataset]
    assert set(Catalogue(data).subject(record).facts) == {"s_minus_p_s"}
