"""STEAD files as they are, and as they are when something went wrong."""

import csv
import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from eqedge.edge.replay.fields import TraceError
from eqedge.edge.replay.label_table import LabelTableError
from eqedge.edge.replay.selection import TraceSelection
from eqedge.edge.replay.stead import SteadError, SteadFile
from eqedge.edge.replay.values import parse_time

NAME = "109C.TA_20060723155859_EV"
QUAKE = {
    "trace_category": "earthquake_local",
    "trace_start_time": "2006-07-23 15:58:59.070000",
    "p_arrival_sample": 700.0,
    "s_arrival_sample": "1894.0",
    "coda_end_sample": "[[2896.]]",
    "snr_db": "[56.8 55.4 47.4]",
}


@pytest.fixture
def wave(rng):
    """A trace of noise."""
    return rng.standard_normal((6000, 3)).astype(np.float32)


def read_one(path, name=NAME, labels=None):
    """Read one trace and close the file."""
    with SteadFile(path, labels) as file:
        return file.read(name)


def write_csv(path, rows):
    """Write rows as STEAD's CSV has them."""
    with path.open("w", newline="") as file:
        fields = sorted({key for row in rows for key in row}) or ["trace_name"]
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_trace_with_steads_attributes(write_stead, wave):
    """Numbers and strings alike are read."""
    trace = read_one(write_stead({NAME: (wave, QUAKE)}))
    assert (trace.p_arrival_sample, trace.s_arrival_sample) == (700.0, 1894.0)
    assert trace.coda_end_sample == 2896.0
    assert trace.rate_hz == 100.0
    assert not trace.is_noise
    assert trace.start_time_ns == parse_time("2006-07-23T15:58:59.07Z")
    np.testing.assert_array_equal(trace.waveform, wave)


def test_other_forms_of_the_same_attributes(write_stead, wave):
    """Arrays, bytes and integers, as other writers of the layout leave them."""
    attributes = {
        "p_arrival_sample": np.int64(700),
        "s_arrival_sample": np.bytes_("1894"),
        "coda_end_sample": np.array([[2896.0]]),
        "trace_start_time": np.bytes_("2006-07-23 15:58:59"),
        "trace_category": np.bytes_("noise"),
    }
    trace = read_one(write_stead({NAME: (wave, attributes)}))
    assert (trace.p_arrival_sample, trace.s_arrival_sample) == (700.0, 1894.0)
    assert trace.coda_end_sample == 2896.0
    assert trace.is_noise
    assert trace.start_time_ns is not None


@pytest.mark.parametrize("empty", ["", "None", "nan", float("nan")])
def test_a_trace_without_labels(write_stead, wave, empty):
    """What STEAD leaves empty is None; the category comes from the name."""
    keys = ("p_arrival_sample", "s_arrival_sample", "coda_end_sample", "trace_start_time")
    attributes = dict.fromkeys(keys, empty)
    path = write_stead({"A_NO": (wave, attributes), "A_EV": (wave, {})})
    trace = read_one(path, "A_NO")
    assert trace.is_noise
    assert (trace.p_arrival_sample, trace.s_arrival_sample, trace.coda_end_sample) == (None,) * 3
    assert trace.start_time_ns is None
    assert not read_one(path, "A_EV").is_noise


def test_a_label_outside_the_trace_is_none(write_stead, wave):
    """It cannot be scored."""
    attributes = {**QUAKE, "s_arrival_sample": 6000.0, "p_arrival_sample": -1.0}
    trace = read_one(write_stead({NAME: (wave, attributes)}))
    assert (trace.p_arrival_sample, trace.s_arrival_sample) == (None, None)


@pytest.mark.parametrize("length", [1, 50, 9001])
def test_other_lengths(write_stead, wave, length):
    """A trace is as long as it is."""
    waveform = np.resize(wave, (length, 3)) + np.arange(length)[:, None]
    if length == 1:
        with pytest.raises(TraceError, match="all three components are constant"):
            read_one(write_stead({NAME: (waveform, QUAKE)}))
    else:
        assert len(read_one(write_stead({NAME: (waveform, QUAKE)})).waveform) == length


def spoilt(wave, kind):
    """Return a waveform that cannot be used."""
    bad = wave.copy()
    if kind == "NaN":
        bad[17, 1] = np.nan
    elif kind == "infinite":
        bad[17, 1] = np.inf
    elif kind == "constant":
        bad[:] = 7
    elif kind == "two columns":
        return bad[:, :2]
    elif kind == "turned":
        return bad.T
    elif kind == "flat":
        return bad[:, 0]
    elif kind == "empty":
        return bad[:0]
    return bad


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("NaN", "holds NaN or infinite samples; interpolate or drop it"),
        ("infinite", "holds NaN or infinite samples; interpolate or drop it"),
        ("constant", "all three components are constant"),
        ("two columns", r"shape \(6000, 2\), expected \(samples, 3\) as E, N, Z"),
        ("turned", r"shape \(3, 6000\), expected"),
        ("flat", r"shape \(6000,\), expected"),
        ("empty", r"shape \(0, 3\), expected"),
    ],
)
def test_a_spoilt_trace_is_named(write_stead, wave, kind, text):
    """The error names the trace and the fault."""
    with pytest.raises(TraceError, match=f"trace {NAME}: {text}"):
        read_one(write_stead({NAME: (spoilt(wave, kind), QUAKE)}))


def test_a_trace_longer_than_memory(tmp_path):
    """A damaged length is refused before anything is read."""
    path = tmp_path / "long.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/long", shape=(10**12, 3), dtype="f4", chunks=(6000, 3))
    with pytest.raises(TraceError, match="trace long: 1000000000000 samples; cut it to"):
        read_one(path, "long")


def test_one_constant_component_is_remarked(write_stead, wave):
    """The trace can be played, with a remark."""
    wave[:, 2] = 5
    assert read_one(write_stead({NAME: (wave, QUAKE)})).remark == "constant component Z"


@pytest.mark.parametrize("value", [50, "50.0", np.float32(50)])
def test_a_stated_rate_is_read(write_stead, wave, value):
    """The companion sets of other networks state it."""
    trace = read_one(write_stead({NAME: (wave, {**QUAKE, "sampling_rate_hz": value})}))
    assert trace.rate_hz == 50.0


@pytest.mark.parametrize("value", ["fast", 0.0, -100.0, 1e9])
def test_an_absurd_rate_is_refused(write_stead, wave, value):
    """It cannot be played, and the message has the value as it was written."""
    path = write_stead({NAME: (wave, {**QUAKE, "trace_sampling_rate_hz": value})})
    named = re.escape(f"trace_sampling_rate_hz {value!r} is not a sampling rate")
    with pytest.raises(TraceError, match=named):
        read_one(path)


CAPITALS = {
    "Trace_Category": "earthquake_local",
    "TRACE_START_TIME": "2006-07-23 15:58:59.070000",
    "P_Arrival_Sample": 700.0,
    "S_ARRIVAL_SAMPLE": "947",
    "Sampling_Rate_Hz": 50.0,
}


@pytest.mark.parametrize("place", ["attributes", "columns"])
def test_names_in_other_capitals(write_stead, wave, place):
    """Attributes and columns, as spreadsheets and other languages write them."""
    path = write_stead({NAME: (wave, CAPITALS if place == "attributes" else {})})
    if place == "columns":
        write_csv(path.with_suffix(".csv"), [{"Trace_Name": NAME, **CAPITALS}])
    trace = read_one(path)
    assert (trace.rate_hz, trace.p_arrival_sample, trace.s_arrival_sample) == (50.0, 700.0, 947.0)
    assert trace.start_time_ns == parse_time("2006-07-23T15:58:59.07Z")
    with SteadFile(path) as file:
        _, fields = file.fields(NAME, ("p_arrival_sample", "sampling_rate_hz"))
    assert float(fields["sampling_rate_hz"]) == 50.0
    assert set(fields) == {"p_arrival_sample", "sampling_rate_hz"}


@pytest.mark.parametrize("place", ["attributes", "columns"])
def test_seisbenchs_names_of_steads_fields(write_stead, wave, place):
    """Labels, station and ratio; `--where` takes both names."""
    fields = {
        "trace_P_arrival_sample": 700.0,
        "trace_s_arrival_sample": "947",
        "trace_snr_db": "[20. 30. 40.]",
        "station_network_code": "XX",
        "station_code": "ABC",
    }
    path = write_stead({NAME: (wave, fields if place == "attributes" else {})})
    if place == "columns":
        write_csv(path.with_suffix(".csv"), [{"trace_name": NAME, **fields}])
    trace = read_one(path)
    assert (trace.p_arrival_sample, trace.s_arrival_sample) == (700.0, 947.0)
    assert trace.attributes["network_code"] == "XX"
    with SteadFile(path) as file:
        for text in ("trace_snr_db > 25 and station_code == 'ABC'", "SNR_db == 30"):
            assert TraceSelection(where=text).names(file) == [NAME]


@pytest.mark.parametrize("place", ["attributes", "columns"])
@pytest.mark.parametrize("name", ["P_arrival_sample", "SAMPLING_RATE_HZ", "Trace_Start_Time"])
def test_two_values_under_one_name_refuse_the_trace(write_stead, wave, place, name):
    """Which of them is right, nobody knows; a field that decides nothing is only remarked."""
    small = {"p_arrival_sample": 700.0, "sampling_rate_hz": 100.0, "trace_start_time": "2020-01-01"}
    other = {"P_arrival_sample": 70.0, "SAMPLING_RATE_HZ": 50.0, "Trace_Start_Time": "2021-01-01"}
    both = {**small, name: other[name]}
    path = write_stead({NAME: (wave, both if place == "attributes" else {})})
    if place == "columns":
        write_csv(path.with_suffix(".csv"), [{"trace_name": NAME, **both}])
    named = rf"trace {NAME}: {name} .* and {name.lower()} .* differ; remove one of them"
    with SteadFile(path) as file:
        with pytest.raises(TraceError, match=named):
            file.read(NAME)
        with pytest.raises(TraceError, match=named):
            file.fields(NAME, (name.lower(),))
    odd = read_one(write_stead({NAME: (wave, {"Place": "a", "place": "b"})}, "odd.hdf5"))
    assert odd.remark == "Place 'a' and place 'b' differ"


def test_things_that_are_no_trace(tmp_path, wave):
    """Groups, texts and records under `data` are refused one by one; the trace between is read."""
    path = tmp_path / "odd.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.create_group("group")
        data["text"] = "hello"
        data["null"] = h5py.Empty("f4")
        data["record"] = np.zeros(4, dtype=[("a", "f4"), ("b", "i4")])
        data["gone"] = h5py.SoftLink("/nowhere")
        data.id.links.create_soft(b"\xff\xfe", b"/data/trace")
        data["trace"] = wave
    with SteadFile(path) as file:
        assert "trace" in file.names
        for name in set(file.names) - {"trace"}:
            with pytest.raises(TraceError, match=f"trace {re.escape(name)}: "):
                file.read(name)
        assert len(file.read("trace").waveform) == 6000
        with pytest.raises(TraceError, match=r"trace other: not in odd\.hdf5"):
            file.read("other")


def not_hdf5(path):
    """Write text."""
    path.write_text("trace_name,p_arrival_sample\n")


def cut_short(path):
    """Write the first half of a file."""
    with h5py.File(path, "w") as file:
        file["data/a"] = np.ones((6000, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nothing_in_it(path):
    """Write a file without traces."""
    h5py.File(path, "w").close()


def data_is_a_dataset(path):
    """Write an array where the group should be."""
    with h5py.File(path, "w") as file:
        file["data"] = np.ones((6000, 3))


def empty_group(path):
    """Write a group with nothing in it."""
    with h5py.File(path, "w") as file:
        file.create_group("data")


def a_folder(path):
    """Make a folder of the name."""
    path.mkdir()


def absent(path):
    """Write nothing."""


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (absent, "no such file; name a STEAD-layout HDF5 file"),
        (a_folder, "a folder; name a STEAD-layout HDF5 file"),
        (not_hdf5, r"not a readable HDF5 file \(it is text\); name the HDF5 file"),
        (cut_short, "not a readable HDF5 file .*truncated.*; copy it again"),
        (nothing_in_it, "no traces under 'data'; STEAD keeps them at data/<trace_name>"),
        (data_is_a_dataset, "no traces under 'data'"),
        (empty_group, "no traces under 'data'"),
    ],
)
def test_a_file_that_is_none(tmp_path, write, text):
    """One line names the file and the remedy."""
    path = tmp_path / "bad.hdf5"
    write(path)
    with pytest.raises(SteadError, match=f"bad.hdf5: {text}") as caught:
        SteadFile(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """The remedy is a right, not another copy."""
    path = tmp_path / "locked.hdf5"
    path.write_bytes(b"")

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("eqedge.edge.replay.stead.GuardedHdf5", refused)
    monkeypatch.setattr("pathlib.Path.open", refused)
    with pytest.raises(SteadError, match=r"locked\.hdf5: .*Permission denied.*right to read it"):
        SteadFile(path)


def test_a_damaged_chunk_costs_one_trace(tmp_path, wave):
    """The others are read."""
    path = tmp_path / "damaged.hdf5"
    with h5py.File(path, "w") as file:
        for name in ("a", "b", "c"):
            file.create_dataset(f"data/{name}", data=wave, compression="gzip", chunks=(6000, 3))
        at = file["data/b"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[at.byte_offset + 100 : at.byte_offset + 200] = bytes(100)
    path.write_bytes(content)
    with SteadFile(path) as file:
        assert len(file.read("a").waveform) == len(file.read("c").waveform) == 6000
        with pytest.raises(TraceError, match="trace b: cannot be read"):
            file.read("b")


def test_any_damage_is_an_error_of_ours(tmp_path):
    """Bytes overwritten anywhere give traces or one of the two errors; no hang, no crash."""
    files = 100 * int(os.environ.get("EQEDGE_FUZZ", "1"))
    command = [sys.executable, "-m", "tests.edge.replay.damage", str(tmp_path), "5", str(files)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    read, refused = map(int, result.stdout.split())
    assert read > files and refused > files // 2


def test_a_chunk_shorter_than_its_checksum(tmp_path, wave):
    """HDF5 would read beyond its memory."""
    path = tmp_path / "short.hdf5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("data/a", data=wave, chunks=wave.shape, fletcher32=True)
        dataset.id.write_direct_chunk((0, 0), b"abcd")
    with SteadFile(path) as file, pytest.raises(TraceError, match="shorter than its checksum"):
        file.read("a")


def test_labels_come_from_the_csv_beside_it(write_stead, wave, tmp_path):
    """HDF5's attributes have precedence, and a trace without a row has those only."""
    path = write_stead({NAME: (wave, {"p_arrival_sample": 700.0}), "other_EV": (wave, {})})
    row = {"trace_name": NAME, "p_arrival_sample": "1.0", "s_arrival_sample": "1894.0"}
    write_csv(path.with_suffix(".csv"), [row])
    trace = read_one(path)
    assert (trace.p_arrival_sample, trace.s_arrival_sample) == (700.0, 1894.0)
    assert read_one(path, "other_EV").p_arrival_sample is None


def test_a_csv_of_another_name(write_stead, wave, tmp_path):
    """It is read where it is named, a byte-order mark before it or not."""
    path = write_stead({NAME: (wave, {})})
    labels = tmp_path / "labels.csv"
    labels.write_text(f"\ufefftrace_name,p_arrival_sample\n{NAME},5\n", encoding="utf-8")
    assert read_one(path, labels=labels).p_arrival_sample == 5.0


def test_short_and_long_rows(write_stead, wave, tmp_path):
    """A row with a missing or an extra field is read as far as it goes."""
    path = write_stead({"a_NO": (wave, {}), "b_EV": (wave, {})})
    text = "trace_name,p_arrival_sample,trace_category\na_NO\nb_EV,5,earthquake_local,more,more\n"
    path.with_suffix(".csv").write_text(text)
    assert read_one(path, "a_NO").is_noise
    assert read_one(path, "b_EV").p_arrival_sample == 5.0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read"),
        (b"a,b\n1,2\n", "no trace_name column; it is not STEAD's CSV"),
        (b"", "no trace_name column"),
        (b"trace_name\n" + b"x" * 200_000 + b"\n", "cannot be read"),
    ],
)
def test_a_csv_that_is_none(write_stead, wave, tmp_path, content, text):
    """One line names it."""
    path = write_stead({NAME: (wave, QUAKE)})
    labels = tmp_path / "bad.csv"
    if content is not None:
        labels.write_bytes(content)
    with pytest.raises(LabelTableError, match=f"bad.csv: {text}"):
        read_one(path, labels=labels)
