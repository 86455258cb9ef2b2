"""Files of records as other programs, spreadsheets and accidents leave them.

`python -m tests.support.hostile FOLDER` writes all of them.
"""

import csv
import gzip
import io
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .labelled import write_stead

BLOSC, OWN = 32001, 40000
"""HDF5 filters: one of the package hdf5plugin, and one that nobody has registered."""
Traces = dict[str, tuple[Any, dict[str, Any]]]
CASES: dict[str, Callable[[Path, Traces], None]] = {}
"""What writes a file of each name; by the names of the cases."""


HALVED: set[str] = set()
"""Cases of which every sample but each second one was taken away: 50 Hz."""


def base(folder: Path, events: int, quiet: int) -> Traces:
    """Return earthquakes and quiet records of six stations, with STEAD's attributes."""
    path = write_stead(folder / "base.hdf5", events, quiet)
    with h5py.File(path) as file:
        traces = {name: (data[()], dict(data.attrs)) for name, data in file["data"].items()}
    path.unlink()
    return traces


def write(path: Path, traces: Traces, under: str = "data/") -> None:
    """Write traces as they are given."""
    with h5py.File(path, "w") as file:
        for name, (wave, attributes) in traces.items():
            dataset = file.create_dataset(f"{under}{name}", data=wave)
            dataset.attrs.update(attributes)


def case(name: str) -> Callable[..., Any]:
    """Return what registers a writer."""

    def registered(function: Callable[[Path, Traces], None]) -> Callable[[Path, Traces], None]:
        CASES[name] = function
        return function

    return registered


def with_waves(name: str, change: Callable[[Any], Any]) -> None:
    """Register a file whose samples are changed."""

    def written(path: Path, traces: Traces) -> None:
        write(path, {n: (change(wave), a) for n, (wave, a) in traces.items()})

    CASES[name] = written


def with_fields(name: str, **fields: Any) -> None:
    """Register a file whose attributes are changed; a field of None is taken away."""

    def written(path: Path, traces: Traces) -> None:
        changed = {}
        for n, (wave, attributes) in traces.items():
            both = {**attributes, **fields}
            changed[n] = (wave, {k: v for k, v in both.items() if v is not None})
        write(path, changed)

    CASES[name] = written


def with_csv(name: str, change: Callable[[str], bytes], **form: Any) -> None:
    """Register a file without attributes beside a CSV that has them.

    Args:
        name: Of the case.
        change: Makes the CSV's bytes of its text.
        form: Of the CSV, as for `csv.writer`.
    """

    def written(path: Path, traces: Traces) -> None:
        write(path, {n: (wave, {}) for n, (wave, _) in traces.items()})
        path.with_suffix(".csv").write_bytes(change(table(traces, **form)))

    CASES[name] = written


def table(traces: Traces, **form: Any) -> str:
    """Return the attributes as a CSV's text, with a place that is not ASCII."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, **form)
    names = list(next(iter(traces.values()))[1])
    rows.writerow([*names, "place"])
    for _, attributes in traces.values():
        rows.writerow([*(attributes.get(name, "") for name in names), "Málaga, España"])
    return text.getvalue()


# what is in place of a file


@case("folder")
def _folder(path: Path, traces: Traces) -> None:
    path.mkdir()


@case("empty")
def _empty(path: Path, traces: Traces) -> None:
    path.write_bytes(b"")


@case("text")
def _text(path: Path, traces: Traces) -> None:
    path.write_text("trace_name,p_arrival_sample\nA,1\n")


@case("zip")
def _zip(path: Path, traces: Traces) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "a")


@case("gzip")
def _gzip(path: Path, traces: Traces) -> None:
    write(path, traces)
    path.write_bytes(gzip.compress(path.read_bytes(), 1))


@case("torn")
def _torn(path: Path, traces: Traces) -> None:
    write(path, traces)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@case("zeros-within")
def _zeros(path: Path, traces: Traces) -> None:
    write(path, traces)
    content = bytearray(path.read_bytes())
    content[2048:4096] = bytes(2048)
    path.write_bytes(content)


@case("dangling-link")
def _dangling(path: Path, traces: Traces) -> None:
    path.symlink_to("nowhere.hdf5")


# where the traces are


@case("nested")
def _nested(path: Path, traces: Traces) -> None:
    write(path, traces, "data/bucket0/")


@case("top-level")
def _top(path: Path, traces: Traces) -> None:
    write(path, traces, "")


@case("other-group")
def _other(path: Path, traces: Traces) -> None:
    write(path, traces, "waveforms/")


@case("seisbench")
def _seisbench(path: Path, traces: Traces) -> None:
    """SeisBench's blocks: data/bucket0 is (traces, components, samples)."""
    with h5py.File(path, "w") as file:
        file["data/bucket0"] = np.stack([wave.T for wave, _ in traces.values()])
        file.create_group("data_format")["component_order"] = "ZNE"


@case("mixed-groups")
def _mixed_groups(path: Path, traces: Traces) -> None:
    write(path, traces)
    with h5py.File(path, "a") as file:
        file["data/AAA_more/deep"] = np.ones((6000, 3))


@case("soft-links")
def _soft(path: Path, traces: Traces) -> None:
    write(path, traces)
    with h5py.File(path, "a") as file:
        file["data/AAA_gone"] = h5py.SoftLink("/nowhere")
        file["data/AAA_file"] = h5py.ExternalLink("other.hdf5", "/data/a")


def _filtered(code: int) -> Callable[[Path, Traces], None]:
    def written(path: Path, traces: Traces) -> None:
        with h5py.File(path, "w") as file:
            group = file.create_group("data")
            for name, (wave, attributes) in traces.items():
                plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                plist.set_chunk(wave.shape)
                plist.set_filter(code, h5py.h5z.FLAG_OPTIONAL)
                space = h5py.h5s.create_simple(wave.shape)
                made = h5py.h5d.create(group.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, plist)
                dataset = h5py.Dataset(made)
                dataset.id.write_direct_chunk((0, 0), wave.astype("f4").tobytes())
                dataset.attrs.update(attributes)

    return written


CASES["filter-blosc"] = _filtered(BLOSC)
CASES["filter-own"] = _filtered(OWN)

# samples

for _samples in (0, 1, 100, 1000, 3000, 5990):
    with_waves(f"samples-{_samples}", lambda w, n=_samples: w[:n])
with_waves("turned", lambda w: w.T)
with_waves("flat", lambda w: w[:, 2])
with_waves("two-components", lambda w: w[:, :2])
with_waves("four-components", lambda w: np.concatenate([w, w[:, :1]], axis=1))
with_waves("three-dimensions", lambda w: w[None])
with_waves("texts", lambda w: w[:10].astype("S8"))
with_waves("complex", lambda w: w.astype(np.complex64))
with_waves("float16", lambda w: w.astype(np.float16))
with_waves("integers", lambda w: w.astype(np.int16))
with_waves("unsigned", lambda w: (w - w.min()).astype(np.uint32))
with_waves("beyond-float32", lambda w: w.astype(np.float64) * 1e40)
with_waves("beyond-int32", lambda w: w.astype(np.float64) * 1e9)
with_waves("tiny", lambda w: w.astype(np.float64) * 1e-40)
with_waves("constant", lambda w: w * 0 + 7)
with_waves("nan", lambda w: np.where(np.arange(len(w))[:, None] == 17, np.nan, w))
with_waves("infinite", lambda w: np.where(np.arange(len(w))[:, None] == 17, np.inf, w))
with_waves("vertical-only", lambda w: w * [0, 0, 1])


@case("one-bad")
def _one_bad(path: Path, traces: Traces) -> None:
    """Only the first record is bad."""
    first = next(iter(traces))
    write(path, {n: (w[:, :2] if n == first else w, a) for n, (w, a) in traces.items()})


# rates


def _half(name: str, **fields: Any) -> None:
    def written(path: Path, traces: Traces) -> None:
        changed = {}
        for n, (wave, attributes) in traces.items():
            labels = {
                k: float(attributes[k]) / 2
                for k in ("p_arrival_sample", "s_arrival_sample")
                if attributes[k] != ""
            }
            longer = np.concatenate([wave, wave[::-1]])[::2]
            changed[n] = (longer, {**attributes, **labels, "coda_end_sample": "", **fields})
        write(path, changed)

    CASES[name] = written
    HALVED.add(name)


_half("rate-number", sampling_rate_hz=50.0)
_half("rate-seisbench", trace_sampling_rate_hz=50.0)
_half("rate-array", sampling_rate_hz=np.array([50.0]))
_half("rate-text", sampling_rate_hz="50.0 Hz")
_half("rate-bytes", sampling_rate=np.bytes_("50"))
_half("rate-interval", trace_dt_s=np.float32(0.02))
_half("rate-delta", delta="0.02")
_half("rate-capitals", Sampling_Rate_Hz=50.0)
_half("rate-all-capitals", SAMPLING_RATE="50")
_half("rate-three", sampling_rate_hz=[50.0, 50.0, 50.0])
_half("rate-three-differ", sampling_rate_hz=[50.0, 50.0, 100.0])
_half("rate-contradicted", sampling_rate_hz=50.0, trace_dt_s=0.01)
_half("rate-and-capitals", sampling_rate_hz=50.0, Sampling_Rate_Hz=40.0)
with_fields("rate-empty", sampling_rate_hz=h5py.Empty("f8"))
with_fields("rate-empty-text", sampling_rate_hz="")
with_fields("rate-nan-text", sampling_rate_hz="NaN")
with_fields("rate-word", sampling_rate_hz="fast")
with_fields("rate-zero", sampling_rate_hz=0)
with_fields("rate-negative", sampling_rate_hz=-100.0)
with_fields("rate-truth", sampling_rate_hz=True)
with_fields("rate-prime", sampling_rate_hz=97.3)
with_fields("rate-slow", sampling_rate_hz=1.0)


@case("rate-mixed")
def _mixed_rates(path: Path, traces: Traces) -> None:
    """Every second record states 50 Hz."""
    write(
        path,
        {
            n: (w, {**a, "sampling_rate_hz": 50.0} if k % 2 else a)
            for k, (n, (w, a)) in enumerate(traces.items())
        },
    )


def _of_file(name: str, place: str) -> None:
    """Register a file that states 50 Hz once for all."""

    def written(path: Path, traces: Traces) -> None:
        CASES["rate-number"](path, traces)
        with h5py.File(path, "a") as file:
            for dataset in file["data"].values():
                del dataset.attrs["sampling_rate_hz"]
            if place == "data_format":
                file["data_format/sampling_rate"] = 50.0
                file["data_format/component_order"] = "ENZ"
            else:
                file[place].attrs["Sampling_Rate"] = 50

    CASES[name] = written
    HALVED.add(name)


_of_file("rate-of-file", "/")
_of_file("rate-of-group", "data")
_of_file("rate-of-format", "data_format")
_half("rate-frequency", sampling_frequency=50.0)
_half("rate-sps", SPS="50 sps")


@case("component-order")
def _component_order(path: Path, traces: Traces) -> None:
    """The columns are Z, N, E, as SeisBench describes them."""
    write(path, {n: (w[:, ::-1], a) for n, (w, a) in traces.items()})
    with h5py.File(path, "a") as file:
        file["data_format/component_order"] = "ZNE"


# start times

for _name, _form in {
    "stead": "2020-01-07 08:24:26.120000",
    "zone": "2020-01-07T13:54:26.120000+05:30",
    "nanoseconds": "2020-01-07T08:24:26.120000000",
    "minutes": "2020-01-07 08:24",
    "slashes": "2020/01/07 08:24:26.12",
    "seconds": 1578385466.12,
    "number-text": "1578385466.12",
    "day-of-year": "2020.007.08.24.26",
    "leap": "2016-12-31 23:59:60.500000",
    "array": np.array([b"2020-01-07 08:24:26.120000"]),
    "european": "07.01.2020 08:24:26",
    "american": "1/7/2020 8:24:26 AM",
    "month": "7 Jan 2020 08:24:26",
    "word": "noon",
    "zero": 0,
    "spreadsheet": 43837.350302,
    "year": 2020,
    "far": "9999-12-31 00:00:00",
}.items():
    with_fields(f"start-{_name}", trace_start_time=_form)
with_fields("start-capitals", TRACE_START_TIME="2020-01-07 08:24:26.120000")

# labels

with_fields("label-word", p_arrival_sample="soon")
with_fields("label-outside", p_arrival_sample=7000.0)
with_fields("label-s-first", p_arrival_sample=900.0, s_arrival_sample=800.0)
with_fields("label-bytes", p_arrival_sample=np.bytes_("900"))
with_fields("label-none", p_arrival_sample=None, s_arrival_sample=None, coda_end_sample=None)
with_fields(
    "label-capitals", p_arrival_sample=None, s_arrival_sample=None, P_Arrival_Sample=900.0,
    S_ARRIVAL_SAMPLE="1200",
)  # fmt: skip
with_fields("label-two", P_Arrival_Sample=50.0)

# units


def _units(name: str, factor: float, unit: str | None) -> None:
    def written(path: Path, traces: Traces) -> None:
        fields = {} if unit is None else {"unit": unit}
        write(
            path,
            {n: (w.astype(np.float64) * factor, {**a, **fields}) for n, (w, a) in traces.items()},
        )

    CASES[name] = written


_units("unit-none", 1e-11, None)
_units("unit-metres", 1e-11, "m/s")
_units("unit-acceleration", 1e-7, "m/s**2")
_units("unit-nanometres", 1.0, "nm/s")
_units("unit-odd", 1e-3, "furlong/fortnight")

# CSV

with_csv("csv-plain", str.encode)
with_csv("csv-latin1", lambda text: text.encode("latin-1"))
with_csv("csv-windows", lambda text: text.replace("a, ", "\u2013").encode("cp1252"))
with_csv("csv-utf8-mark", lambda text: text.encode("utf-8-sig"))
with_csv("csv-utf16", lambda text: text.encode("utf-16"))
with_csv("csv-utf16-no-mark", lambda text: text.encode("utf-16-le"))
with_csv("csv-utf32", lambda text: text.encode("utf-32"))
with_csv("csv-semicolon", str.encode, delimiter=";")
with_csv("csv-tab", str.encode, delimiter="\t")
with_csv("csv-bar", str.encode, delimiter="|")
with_csv("csv-sep-line", lambda text: f"sep=;\r\n{text}".encode(), delimiter=";")
with_csv("csv-spaces", lambda text: text.replace(",", "  ").encode())
with_csv("csv-quoted", str.encode, quoting=csv.QUOTE_ALL)
with_csv(
    "csv-space-quote", lambda text: text.replace('","', '", "').encode(), quoting=csv.QUOTE_ALL
)
with_csv("csv-cr", lambda text: text.replace("\r\n", "\r").encode())
with_csv("csv-open-quote", lambda text: text.replace("Málaga", '"', 1).encode())
with_csv("csv-nul", lambda text: text.replace("M", "\0", 1).encode())
with_csv("csv-empty", lambda text: b"")
with_csv("csv-header-only", lambda text: text.splitlines()[0].encode())
with_csv("csv-no-names", lambda text: text.replace("trace_name", "name").encode())
with_csv("csv-capitals", lambda text: text.replace("_arrival_sample", "_Arrival_Sample").encode())
with_csv("csv-name-capitals", lambda text: text.replace("trace_name", "Trace_Name").encode())
with_csv("csv-decimal-comma", lambda text: text.replace(".0", ",0").encode(), delimiter=";")
with_csv("csv-workbook", lambda text: b"PK\x03\x04" + bytes(100))
with_csv("csv-gzip", lambda text: gzip.compress(text.encode()))
with_csv("csv-binary", lambda text: np.random.default_rng(1).bytes(5000))
with_csv("csv-long-line", lambda text: text.encode() + b"x" * (3 << 20))
with_csv("csv-torn", lambda text: text.encode()[: len(text) // 2])
with_csv("csv-one-row", lambda text: "\n".join(text.splitlines()[:2]).encode())
with_csv("csv-other-traces", lambda text: text.replace("XX_2020", "XX_2021").encode())


@case("csv-folder")
def _csv_folder(path: Path, traces: Traces) -> None:
    write(path, traces)
    path.with_suffix(".csv").mkdir()


def write_all(folder: Path, events: int = 12, quiet: int = 6) -> dict[str, Path]:
    """Write every case into a folder of its own; return where each is."""
    traces = base(folder, events, quiet)
    files = {}
    for name, written in CASES.items():
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        files[name] = place / f"{name}.hdf5"
        written(files[name], traces)
    return files


if __name__ == "__main__":
    print(len(write_all(Path(sys.argv[1]))))
