"""The measure of false events an hour: its records, its rates, and what it counts as an event."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from eqedge import EqedgeError
from eqedge.convert.data.indexing import index_stead
from eqedge.models.registry import DEFAULT_MODEL, open_model

from tests.conftest import ROOT

pymseed = pytest.importorskip("pymseed")
pytest.importorskip("scipy")

from studies.quiet import HELD_OUT, Count, at_rate, count, field_records, read_record, write  # noqa: E402

START_NS = 1_790_000_000 * 10**9
RATE = 128.0


def miniseed(
    tmp_path: Path,
    columns: dict[str, np.ndarray],
    rate_hz: float = RATE,
    late: str = "",
    station: str = "R1234",
) -> bytes:
    """Write components; the one named `late` lacks its first second."""
    path = tmp_path / "one.mseed"
    traces = pymseed.MS3TraceList()
    for component, samples in columns.items():
        skipped = round(rate_hz) if component == late else 0
        start_ns = START_NS + round(skipped * 1e9 / rate_hz)
        counts = np.rint(samples[skipped:]).astype(np.int32)
        source_id = f"FDSN:AM_{station}_00_E_H_{component}"
        traces.add_data(source_id, counts, "i", rate_hz, starttime=start_ns)
    traces.to_file(path, overwrite=True, max_record_length=512, format_version=2)
    return path.read_bytes()


def wheel_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    """Pack files as a wheel does."""
    path = tmp_path / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_record_is_cut_to_what_all_components_have(tmp_path, rng):
    """Components come in the order E, N, Z, from where the latest of them begins."""
    samples = rng.integers(-1000, 1000, (3, 2000)).astype(float)
    content = miniseed(tmp_path, dict(zip("ZEN", samples, strict=True)), late="N")
    record = read_record(content)
    assert record.rate_hz == RATE
    assert record.network == "AM"
    np.testing.assert_array_equal(record.samples, samples[[1, 2, 0], 128:].T)


@pytest.mark.parametrize("components", ["EN", "Z", ""])
def test_a_record_without_all_components_is_refused(tmp_path, rng, components):
    """A record without three components is refused, not padded."""
    columns = {component: rng.normal(0, 100, 1000) for component in components}
    content = miniseed(tmp_path, columns) if columns else b""
    with pytest.raises(EqedgeError, match="needs E, N and Z"):
        read_record(content)


def test_a_file_under_two_names_is_one_record(tmp_path, rng):
    """The same bytes twice are not twice the hours; other files of the wheel are passed over."""
    content = miniseed(tmp_path, {c: rng.normal(0, 100, 1000) for c in "ENZ"})
    other = miniseed(tmp_path, {c: rng.normal(0, 100, 1000) for c in "ENZ"})
    files = {"a/1.MSEED": content, "b/2.mseed": content, "c/3.mseed": other, "c/4.txt": b"no"}
    assert len(list(field_records(wheel_of(tmp_path, files)))) == 2


def test_no_wheel_and_an_empty_one_are_errors(tmp_path):
    """A file that is no archive, or holds no miniSEED, is named."""
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"PK no")
    with pytest.raises(EqedgeError, match=r"broken\.whl"):
        list(field_records(broken))
    with pytest.raises(EqedgeError, match="no miniSEED"):
        list(field_records(wheel_of(tmp_path, {"a.txt": b""})))


def test_another_rate_becomes_the_models(tmp_path):
    """A sine of 5 Hz at 128 Hz is the same sine at 100 Hz."""
    columns = dict.fromkeys("ENZ", 1e5 * np.sin(2 * np.pi * 5 * np.arange(128 * 20) / RATE))
    rows = at_rate(read_record(miniseed(tmp_path, columns)), 100.0)
    assert len(rows) == 2000
    expected = 1e5 * np.sin(2 * np.pi * 5 * np.arange(2000) / 100)
    np.testing.assert_allclose(rows[100:-100, 2], expected[100:-100], atol=200)


def test_an_earthquake_is_counted_and_noise_is_not(tmp_path, rng):
    """An embedded synthetic earthquake is one event with P and S; steady noise is none."""
    with h5py.File(ROOT / "edge/replay/samples/demo.hdf5") as file:
        trace = next(t for t in file["data"].values() if t.attrs["trace_category"] != "noise")
        rows = np.asarray(trace[()], dtype=float)
    loud = miniseed(tmp_path, dict(zip("ENZ", rows.T * 1e4 / rows.std(), strict=True)), 100.0)
    noise = {c: rng.normal(0, 1000, 9000) for c in "ENZ"}
    calm = miniseed(tmp_path, noise, 100.0, station="R3")
    presets = {"default": open_model(DEFAULT_MODEL).spec.thresholds["default"]}
    wheel = wheel_of(tmp_path, {"loud.mseed": loud, "calm.mseed": calm})
    counts = count(wheel, DEFAULT_MODEL, 1.0, presets)
    assert {row for row, _ in counts} == {"all", "Raspberry Shake 3D", HELD_OUT}
    sums = counts["all", "default"]
    assert (sums.p_and_s, sums.p_alone, sums.s_alone) == (1, 0, 0)
    assert sums.seconds == pytest.approx((len(rows) + 9000) / 100)
    # R3 falls on the side that training never sees, R1234 on the other.
    assert counts[HELD_OUT, "default"].events == 0
    assert counts[HELD_OUT, "default"].seconds == 90.0


def test_what_is_written_can_be_trained_on(tmp_path, rng):
    """Records of a minute overlap by half, are noise, and keep their station."""
    samples = rng.integers(-1000, 1000, (3, 130 * 100)).astype(float)
    content = miniseed(tmp_path, dict(zip("ENZ", samples, strict=True)), 100.0)
    path = tmp_path / "noise.hdf5"
    assert write(wheel_of(tmp_path, {"a.mseed": content}), path, 100.0) == 3
    index = index_stead(path)
    assert not index.skipped
    assert {record.station for record in index.records} == {"AM.R1234"}
    assert {record.kind for record in index.records} == {"noise"}
    with h5py.File(path) as file:
        rows = file["data/R1234.AM_00_001_NO"][()]
    expected = samples.T[3200:9600] - samples.T.mean(axis=0)
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-2)


def test_the_interval_is_poissons():
    """Three events in an hour are 0.6 to 8.8; none in an hour still allows 3.7."""
    assert Count(3600.0, p_and_s=1, p_alone=1, s_alone=1).rate() == "3.0 [0.6, 8.8]"
    assert Count(3600.0).rate() == "0.0 [0.0, 3.7]"
