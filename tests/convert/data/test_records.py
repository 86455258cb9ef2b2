import gc
import struct

import h5py
import numpy as np
import pytest
from eqedge.convert.data.indexing import index_continuous, index_stead
from eqedge.convert.data.records import (
    CONTINUOUS_SAMPLES,
    DataError,
    Index,
    Record,
    held_out,
    split_by_event,
    station_of,
)
from eqedge.convert.data.waveforms import NAMED, Unusable, WaveformCache
from eqedge.edge.replay.heaps import SIGNATURE
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.labelled import write_stead


def test_index_reads_labels_that_are_strings(stead_file):
    """STEAD's numbers arrive as floats, as strings and as `[[ 2896.]]`; all are read."""
    events = [r for r in index_stead(stead_file).records if r.kind == "event"]
    assert len(events) == 6
    assert all(r.p_arrival_sample == 900 and r.s_arrival_sample > 900 for r in events)
    assert all(r.coda_end_sample > r.s_arrival_sample for r in events)


def test_noise_has_no_labels(stead_file):
    """A noise record never carries a pick."""
    noise = [r for r in index_stead(stead_file).records if r.kind == "noise"]
    assert len(noise) == 3
    assert all(r.p_arrival_sample is None and r.s_arrival_sample is None for r in noise)


def test_attributes_go_before_a_csv_row_that_fills_in(stead_file):
    """As in a replay: a row has what the attributes lack, and traces without a row are left out."""
    events = [r for r in index_stead(stead_file).records if r.kind == "event"]
    first, second = (r.dataset.removeprefix("data/") for r in events[:2])
    with h5py.File(stead_file, "a") as file:
        del file[f"data/{first}"].attrs["p_arrival_sample"]
        del file[f"data/{first}"].attrs["network_code"]
    stead_file.with_suffix(".csv").write_text(
        "trace_name,foo,network_code,receiver_code,p_arrival_sample\n"
        f"{first},,YY,ZZZ,1000\n{second},,,,700\n"
    )
    index = index_stead(stead_file)
    by_name = {r.dataset.removeprefix("data/"): r for r in index.records}
    assert set(by_name) == {first, second}
    assert "small.csv selects 2 of 9 traces" in index.remarks[0]
    assert f"differ for 1 traces, the first {second}: p_arrival_sample 900" in index.remarks[1]
    assert (by_name[first].p_arrival_sample, by_name[first].station) == (1000, "AAA.YY")
    assert by_name[second].p_arrival_sample == 900


def test_attributes_of_fixed_length_are_texts(stead_file):
    """What numpy writes as bytes is read as its text: the same records on the same sides."""
    before = index_stead(stead_file).records
    with h5py.File(stead_file, "a") as file:
        for dataset in file["data"].values():
            dataset.attrs.update({k: np.bytes_(str(v)) for k, v in dataset.attrs.items()})
    assert index_stead(stead_file).records == before


@pytest.mark.parametrize("content", [b"", b"name,p\nx,1\n", b"\xff\xfe\x00trace_name"])
def test_a_csv_that_is_not_steads_is_named(stead_file, content):
    """Garbage beside the file is refused as in a replay, not passed over."""
    stead_file.with_suffix(".csv").write_bytes(content)
    with pytest.raises(DataError, match=r"small\.csv"):
        index_stead(stead_file)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"p_arrival_sample": 9000.0}, "label outside the trace"),
        ({"p_arrival_sample": -5.0}, "label outside the trace"),
        ({"s_arrival_sample": "800"}, "S not after P"),
        ({"p_arrival_sample": ""}, "earthquake without a P"),
        ({"p_arrival_sample": "soon"}, "label that is not a number"),
        (
            {"sampling_rate_hz": 180.0},
            "33.33 s long, shorter than the network's window of 60 s",
        ),
        (
            {"trace_sampling_rate_hz": "fast"},
            "trace_sampling_rate_hz 'fast' is not a sampling rate; write the number alone",
        ),
    ],
)
def test_bad_labels_are_counted_by_reason(stead_file, attributes, reason):
    """A record with an impossible label is left out, and the reason is counted."""
    with h5py.File(stead_file, "a") as file:
        next(iter(file["data"].values())).attrs.update(attributes)
    index = index_stead(stead_file)
    assert index.skipped == {reason: 1}
    assert len(index.records) == 8


def test_short_and_misshapen_records_are_counted(stead_file):
    """Less than a window, or not three components, is no training record."""
    with h5py.File(stead_file, "a") as file:
        file["data/SHORT.XX_0_NO"] = np.zeros((5999, 3), np.float32)
        file["data/FLAT.XX_0_NO"] = np.zeros((6000,), np.float32)
        file["data/TURNED.XX_0_NO"] = np.zeros((3, 6000), np.float32)
    index = index_stead(stead_file)
    assert index.skipped == {
        "59.99 s long, shorter than the network's window of 60 s": 1,
        "shape (6000,), expected (samples, 3) as E, N, Z": 1,
        "shape (3, 6000), expected (samples, 3) as E, N, Z; transpose it": 1,
    }


def test_file_without_a_usable_record_names_the_reason(tmp_path):
    """The error of a useless file names the file and the reasons."""
    path = write_stead(tmp_path / "bad.hdf5", n_events=1, n_noise=0)
    with h5py.File(path, "a") as file:
        next(iter(file["data"].values())).attrs["p_arrival_sample"] = 7000.0
    with pytest.raises(DataError, match=r"bad\.hdf5.*1: label outside the trace"):
        index_stead(path)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all"])
def test_file_that_is_not_hdf5_is_named(tmp_path, content):
    """A truncated or foreign file is one clear error."""
    path = tmp_path / "broken.hdf5"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.hdf5"):
        index_stead(path)


@pytest.mark.parametrize("size", [0, 1 << 50])
def test_a_damaged_heap_of_texts_is_reported(stead_file, size):
    """The guard of the replay stands before training too: no hang, and the place is named."""
    content = bytearray(stead_file.read_bytes())
    heap = content.find(SIGNATURE)
    struct.pack_into("<Q", content, heap + 8, size)
    stead_file.write_bytes(content)
    with pytest.raises(DataError, match=rf"small\.hdf5: .*texts at byte {heap} ends beyond"):
        index_stead(stead_file)


def test_a_chunk_shorter_than_its_checksum_is_skipped(tmp_path):
    """Over it HDF5 would read beyond its memory."""
    path = tmp_path / "chunks.hdf5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset(
            "data/BAD.XX_0_NO", (6000, 3), "f4", chunks=(6000, 3), fletcher32=True
        )
        made.attrs["trace_category"] = "noise"
        made.id.write_direct_chunk((0, 0), b"abc")
    waveforms = WaveformCache()
    assert [waveforms.read(record) for record in index_stead(path).records] == [None]
    assert waveforms.unusable.reasons == {
        (str(path), "data/BAD.XX_0_NO@0"): "unreadable (a chunk is shorter than its checksum)"
    }


def test_unusable_samples_are_counted_once(stead_file):
    """NaN and motionless records are read once, counted, and never given out."""
    with h5py.File(stead_file, "a") as file:
        names = list(file["data"])
        file["data"][names[0]][100, 1] = np.nan
        file["data"][names[1]][...] = 5.0
    waveforms = WaveformCache(budget_bytes=0)
    read = [waveforms.read(r) for _ in range(2) for r in index_stead(stead_file).records]
    assert sum(w is None for w in read) == 4
    assert waveforms.skipped == {"NaN or infinite samples": 1, "no motion on any component": 1}


def test_corrupt_chunk_is_skipped_and_named(tmp_path):
    """A chunk that no longer decompresses costs its own record only."""
    path = tmp_path / "chunks.hdf5"
    samples = np.random.default_rng(0).normal(size=(6000, 3)).astype("f4")
    with h5py.File(path, "w") as file:
        for name in ("GOOD.XX_0_NO", "BAD.XX_0_NO"):
            made = file.create_dataset(
                f"data/{name}", data=samples, compression="gzip", chunks=(6000, 3), fletcher32=True
            )
            made.attrs["trace_category"] = "noise"
        place = file["data/BAD.XX_0_NO"].id.get_chunk_info(0)
    with path.open("r+b") as raw:
        raw.seek(place.byte_offset + place.size // 2)
        raw.write(bytes(64))
    waveforms = WaveformCache()
    read = {r.dataset: waveforms.read(r) for r in index_stead(path).records}
    assert read["data/BAD.XX_0_NO"] is None
    assert read["data/GOOD.XX_0_NO"] is not None
    ((_, key),) = waveforms.unusable.reasons
    assert key == "data/BAD.XX_0_NO@0"


def test_records_that_cannot_be_used_are_named_within_bounds():
    """The first twenty by name, each once; then one line more, and all are counted."""
    lines = []
    unusable = Unusable(lines.append)
    for number in (*range(25), 3):
        unusable.add(("folder/a.hdf5", f"data/R{number}@0"), "NaN or infinite samples")
    assert lines[0] == "skipped a.hdf5 data/R0: NaN or infinite samples"
    assert len(lines) == NAMED + 1 and len(set(lines)) == len(lines)
    assert unusable.counts() == {"NaN or infinite samples": 25}


def test_memory_stays_within_its_budget(stead_file):
    """Whatever is read, no more than the budget is kept."""
    waveforms = WaveformCache(budget_bytes=3 * 6000 * 3 * 4)
    for record in index_stead(stead_file).records:
        waveforms.read(record)
    kept = [w for w in waveforms._kept.values() if w is not None]
    assert sum(w.nbytes for w in kept) <= 3 * 6000 * 3 * 4


def test_continuous_records_overlap_by_a_window(tmp_path):
    """No window of a continuous record is lost at a cut."""
    path = tmp_path / "long.hdf5"
    with h5py.File(path, "w") as file:
        file["NET/STA/start"] = np.zeros((CONTINUOUS_SAMPLES + 20_000, 3), np.int32)
        file["NET/STA/start"].attrs.update(network="CX", station="PB01", sampling_rate_hz=100.0)
    first, second = index_continuous(path).records
    assert (first.first, first.n_samples) == (0, CONTINUOUS_SAMPLES + 6000)
    assert (second.first, second.n_samples) == (CONTINUOUS_SAMPLES, 20_000)
    assert first.station == "CX.PB01"


def test_split_is_by_station_and_for_good(stead_file):
    """Records of one station are on one side, and the side depends on the name alone."""
    index = index_stead(stead_file)
    sides = {r.station: index.keeps(r) for r in index.records}
    assert all(index.keeps(r) == sides[r.station] == held_out(r.station) for r in index.records)
    assert not {r.station for r in index.training()} & {r.station for r in index.held_out()}
    share = np.mean([held_out(f"S{k:03d}.XX") for k in range(1000)])
    assert 0.16 < share < 0.24


def event_at(station, event, kind="event"):
    """A record of an event, or of none."""
    return Record(
        "f", f"data/{station}{event}", 0, 6000, station, "s", event, kind=kind, p_arrival_sample=900
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 40)), min_size=1))
def test_split_by_event_keeps_an_event_whole(drawn):
    """All records of an event are on one side, wherever they were recorded; noise by station."""
    records = [event_at(f"{station}.XX", f"e{number}") for station, number in drawn]
    noise = [event_at(f"S{k:03d}.XX", "", "noise") for k in range(20)]
    index = split_by_event(Index([*records, *noise]))
    assert {r.event for r in index.training()} & {r.event for r in index.held_out()} <= {""}
    assert [index.keeps(r) for r in records] == [held_out(r.event, "event") for r in records]
    assert [index.keeps(r) for r in noise] == [held_out(r.station) for r in noise]


def test_split_by_event_wants_events(stead_file):
    """Without any source_id it is refused; single earthquakes without one are counted."""
    with pytest.raises(DataError, match="source_id; split by station"):
        split_by_event(index_stead(stead_file))
    with h5py.File(stead_file, "a") as file:
        for number, dataset in enumerate(file["data"].values()):
            dataset.attrs["source_id"] = "None" if number == 0 else np.bytes_(f"{number}")
    index = split_by_event(index_stead(stead_file))
    assert index.skipped == {"earthquake without a source_id": 1} and len(index.records) == 8
    assert {r.event for r in index.records if r.kind == "noise"} == {""}


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("109C.TA_20060723155859_EV", {}),
        ("phasenet__TA_109C_2012", {}),
        ("anything", {"network_code": "TA", "receiver_code": "109C"}),
        ("x_109C.TA", {"network_code": "ta ", "receiver_code": "109c"}),
    ],
)
def test_a_station_has_one_name_however_it_is_written(name, attributes):
    """Sources order the two codes differently; the split must not care."""
    assert station_of(name, attributes) == "109C.TA"


def test_a_cache_that_is_no_longer_used_has_closed_its_files(stead_file):
    """Also where nobody closes it: a training's windows are cut by one after the other."""
    waveforms = WaveformCache(0)
    assert waveforms.read(index_stead(stead_file).records[0]) is not None
    (file,) = waveforms._files.values()
    content = file._bytes
    del waveforms, file
    gc.collect()
    assert content.closed
