"""Which traces of a file are used: by CSV, by expression, at random."""

import h5py
import numpy as np
import pytest
from eqedge.edge.replay.fields import TraceError
from eqedge.edge.replay.selection import TraceSelection, choose
from eqedge.edge.replay.stead import SteadError
from hypothesis import given
from hypothesis import strategies as st

NAMES = [f"trace{n}" for n in range(30)]


@given(st.integers(0, 40), st.integers(0, 2**32))
def test_a_choice_is_seeded_and_without_repeats(count, seed):
    """The same seed chooses the same, each name at most once."""
    chosen = choose(NAMES, count, seed)
    assert chosen == choose(NAMES, count, seed)
    assert len(chosen) == len(set(chosen)) == min(count, len(NAMES))
    assert set(chosen) <= set(NAMES)


def test_seeds_differ():
    """Another seed chooses others."""
    assert len({tuple(choose(NAMES, 5, seed)) for seed in range(20)}) == 20


def test_all_keep_the_files_order():
    """Without a number, or with one as large as the file, nothing is left to chance."""
    assert choose(NAMES, None, 3) == NAMES == choose(NAMES, 30, 3)


@pytest.fixture
def five(write_stead, rng):
    """A file of five traces, A to E, with signal-to-noise ratios of 5 to 25 dB."""
    waveform = rng.standard_normal((300, 3))
    return write_stead(
        {
            f"{letter}.XX_1_EV": (waveform, {"snr_db": f"[{5.0 * n} {5.0 * n} {5.0 * n}]"})
            for n, letter in enumerate("ABCDE", start=1)
        }
    )


def names_of(path, **options):
    """Return the first letters of the selected names, and the remarks."""
    selection = TraceSelection(**options)
    with selection.open(path) as file:
        return "".join(name[0] for name in selection.names(file)), file.remarks


def test_the_rows_of_a_csv_select(five, tmp_path):
    """Beside the file or given; the remark states how many, also of rows without a trace."""
    rows = "trace_name,snr_db\nB.XX_1_EV,\nD.XX_1_EV,\ngone,\n"
    remarks = [
        "{} selects 2 of 5 traces; the others have no row in it",
        "rows of {} of traces that are not in traces.hdf5: 1",
    ]
    other = tmp_path / "mine.csv"
    other.write_text(rows)
    assert names_of(five) == ("ABCDE", [])
    assert names_of(five, labels=other) == ("BD", [one.format("mine.csv") for one in remarks])
    five.with_suffix(".csv").write_text(rows)
    assert names_of(five) == ("BD", [one.format("traces.csv") for one in remarks])


def test_a_csv_of_another_file(five, tmp_path):
    """Given, it is refused; beside the file, it is named and not used."""
    other = tmp_path / "other.csv"
    other.write_text("trace_name\nX\n")
    with pytest.raises(SteadError, match=r"other\.csv: has a row for none of the 5 traces of"):
        names_of(five, labels=other)
    other.rename(five.with_suffix(".csv"))
    names, remarks = names_of(five)
    assert names == "ABCDE"
    assert remarks == [
        f"{five.with_suffix('.csv')}: has a row for none of the 5 traces of traces.hdf5; "
        "it is not used"
    ]


def test_an_expression_selects_before_chance_does(five):
    """By fields of HDF5 and CSV together, then some of them by the seed."""
    rows = "".join(f"{letter}.XX_1_EV,{n}\n" for n, letter in enumerate("ABCDE"))
    five.with_suffix(".csv").write_text(f"trace_name,source_magnitude\n{rows}")
    assert names_of(five, where="snr_db > 10")[0] == "CDE"
    assert names_of(five, where="snr_db > 10 and source_magnitude < 4")[0] == "CD"
    drawn = {names_of(five, where="snr_db > 10", traces=2, seed=seed)[0] for seed in range(30)}
    assert all(len(names) == 2 and set(names) <= set("CDE") for names in drawn) and len(drawn) > 2


def test_an_expression_that_selects_nothing_is_named(five):
    """With the reason: no such field, or no such trace."""
    with pytest.raises(SteadError, match="--where 'snr > 3' selects no trace: no trace has the"):
        names_of(five, where="snr > 3")
    with pytest.raises(SteadError, match="selects no trace: none fulfils it"):
        names_of(five, where="snr_db > 99")


def test_differences_of_the_two_are_counted_and_the_hdf5_wins(write_stead, rng):
    """Each trace once; the first is shown; the same in another form is no difference."""
    waveform = rng.standard_normal((900, 3))
    path = write_stead({f"{x}_EV": (waveform, {"p_arrival_sample": 300.0}) for x in "abc"})
    path.with_suffix(".csv").write_text(
        "trace_name,p_arrival_sample,s_arrival_sample\na_EV,300,\nb_EV,301,600\nc_EV,310.5,\n"
    )
    with TraceSelection().open(path) as file:
        for name in [*file.names, "b_EV"]:
            assert file.read(name).p_arrival_sample == 300.0
        assert file.read("b_EV").s_arrival_sample == 600.0
        (remark,) = file.remarks
    assert remark == (
        "traces.csv and traces.hdf5 differ for 2 traces, the first b_EV: p_arrival_sample 300.0 in "
        "the HDF5, 301 in the CSV; the HDF5's values are used"
    )


def test_a_missing_filter_is_named_with_its_package(tmp_path):
    """HDF5's own message names neither."""
    path = tmp_path / "packed.hdf5"
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        for code in (32026, 31999):
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((100, 3))
            plist.set_filter(code, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((100, 3))
            made = h5py.h5d.create(
                group.id, f"by{code}".encode(), h5py.h5t.NATIVE_FLOAT, space, plist
            )
            made.write_direct_chunk((0, 0), np.zeros(300, np.float32).tobytes())
    with TraceSelection().open(path) as file:
        with pytest.raises(TraceError, match="with HDF5 filter 31999, which is not installed; rew"):
            file.read("by31999")
        with pytest.raises(TraceError, match=r"Blosc2, HDF5 filter 32026, .*pip install"):
            file.read("by32026")


def test_groups_between_are_named(tmp_path):
    """Found and expected."""
    path = tmp_path / "nested.hdf5"
    with h5py.File(path, "w") as file:
        file["data/XX/a"] = np.ones((9, 3))
    named = "trace XX: a group of 1 objects, expected a dataset"
    with TraceSelection().open(path) as file, pytest.raises(TraceError, match=named):
        file.read("XX")


@pytest.mark.parametrize("text", ["not snr > 10", "snr != 10", "snr_db > 1 and not snr_dp > 99"])
def test_a_misspelt_field_selects_nothing(five, text):
    """Also where the expression would be true for every trace."""
    with pytest.raises(SteadError, match="selects no trace: no trace has the field snr"):
        names_of(five, where=text)
    assert names_of(five, where="trace_name == 'B.XX_1_EV'") == ("B", [])
