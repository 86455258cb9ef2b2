"""Files as other programs and accidents leave them, given to every command that reads records."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from eqedge.__main__ import main
from eqedge.edge.tools.sensor.waveform import HEADER
from eqedge.firmware_bridge.packets import UNITS
from eqedge.models.registry import weights_folder

from tests.support import hostile

pytestmark = pytest.mark.slow  # train and convert load TensorFlow

WEIGHTS = weights_folder() / "leqnet_gru.weights.h5"
MODEL = "leqnet_gru_mixed"
REFUSED = {
    "folder": "a folder|is a directory",
    "dangling-link": "no such file|does not exist",
    "empty": "it is empty",
    "text": "it is text",
    "zip": "it is a zip archive",
    "gzip": "it is compressed by gzip",
    "torn": "truncated file",
    "zeros-within": "not a readable HDF5 file",
    "nested": "a group of 6 objects, expected a dataset",
    "top-level": "no traces under 'data'.*found AAA",
    "other-group": "no traces under 'data'.*found waveforms/",
    "seisbench": r"shape \(6, 3, 6000\), expected \(samples, 3\).*as SeisBench keeps them",
    "component-order": "component_order is 'ZNE', expected 'ENZ'",
    "filter-blosc": "compressed with Blosc, HDF5 filter 32001.*pip install hdf5plugin",
    "filter-own": "compressed with HDF5 filter 40000.*h5repack",
    "samples-0": r"shape \(0, 3\)",
    "turned": r"shape \(3, 6000\), expected \(samples, 3\).*transpose it",
    "flat": r"shape \(6000,\), expected",
    "two-components": r"shape \(6000, 2\), expected",
    "four-components": r"shape \(6000, 4\), expected",
    "three-dimensions": r"shape \(1, 6000, 3\), expected",
    "texts": "holds .*S8, expected numbers",
    "complex": "holds complex64, expected numbers",
    "beyond-float32": "beyond float32",
    "nan": "NaN or infinite samples",
    "infinite": "NaN or infinite samples",
    "rate-three-differ": r"sampling_rate_hz \[50.0, 50.0, 100.0\] is not a sampling rate",
    "rate-contradicted": "sampling_rate_hz states 50 Hz, trace_dt_s 100 Hz",
    "rate-and-capitals": "Sampling_Rate_Hz 40.0 and sampling_rate_hz 50.0 differ",
    "rate-word": "sampling_rate_hz 'fast' is not a sampling rate",
    "rate-zero": "sampling_rate_hz 0 is not a sampling rate",
    "rate-negative": "sampling_rate_hz -100.0 is not a sampling rate",
    "rate-truth": "sampling_rate_hz True is not a sampling rate",
    "csv-spaces": "no trace_name column.*its first line has coda_end_sample",
    "csv-no-names": "no trace_name column",
    "csv-empty": "no trace_name column.*it is empty",
    "csv-workbook": "a workbook or an archive; save it as CSV",
    "csv-gzip": "compressed by gzip; unpack it",
    "csv-binary": "not text; name the CSV",
    "csv-long-line": "is longer than 1048576 characters",
}
"""What every command has to name in the line with which it ends."""
NAMED = {
    "one-bad": r"shape \(6000, 2\)",
    "mixed-groups": "AAA_more: a group of 1 objects",
    "soft-links": "AAA_gone: a link to /nowhere",
    "vertical-only": "constant component E, N",
    "rate-mixed": "50 Hz among others of 100 Hz",
    "label-word": "p_arrival_sample 'soon' is not a number",
    "label-outside": "p_arrival_sample 7000 lies outside its 6000 samples",
    "label-s-first": "its S is not after its P",
    "samples-100": "p_arrival_sample 900 lies outside its 100 samples",
    "samples-1000": "s_arrival_sample .* lies outside its 1000 samples",
    "csv-latin1": "was read as Latin-1",
    "csv-windows": "was read as Latin-1",
    "csv-open-quote": "with more or fewer fields than its first line: 1",
    "csv-torn": "selects 2 of 6 traces",
    "csv-one-row": "selects 1 of 6 traces",
    "csv-header-only": "has a row for none of the 6 traces",
    "csv-other-traces": "has a row for none of the 6 traces",
    "label-two": "P_Arrival_Sample 50.0 and p_arrival_sample 900.0 differ",
    **dict.fromkeys(
        ["start-american", "start-european", "start-month", "start-word", "start-zero",
         "start-far", "start-day-of-year", "start-spreadsheet", "start-year"],
        "trace_start_time .* cannot be read; dated 2000-01-01",
    ),
}  # fmt: skip
"""What a replay plays, and has to name."""
NOT_PLAYED = {
    "constant": "all three components are constant",
    "samples-1": "all three components are constant",
    "rate-slow": "1 Hz cannot be turned into the model's 100 Hz",
}
"""What a simulated sensor can send, and a replay cannot use."""
NOT_SENT = {"tiny": "too small to be sent as counts"}
"""The other way round."""
NO_LABELS = {"label-none", "csv-header-only", "csv-other-traces"}
"""Files whose earthquakes have no labels, by design."""
STARTS = {"start-leap": "2017-01-01T00:00", "start-capitals": "2020-01-07T08:24"}
"""Minute of the first event; of the others 2020-01-07 08:24."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Every case, with four earthquakes and two quiet records."""
    return hostile.write_all(tmp_path_factory.mktemp("hostile"), 4, 2)


@pytest.fixture
def command(monkeypatch, capfd):
    """Return a runner in this process: exit code, standard error, its last line."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["eqedge", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        error = capfd.readouterr().err
        assert "Traceback" not in error
        return ended.value.code or 0, error, (error.splitlines() or [""])[-1]

    return run


def replayed(command, file, output):
    """Replay a file and return what the command did."""
    return command("run", "--sim", file, "--speed", "max", "--hop", "10", "--model", MODEL,
                   "--output", output)  # fmt: skip


def commands(file: Path, folder: Path) -> list[list[str | Path]]:
    """Return each command that reads records, but those of the node and the sensor."""
    triggers = folder / "none.jsonl"
    triggers.touch()
    return [
        ["plot", "trace", file, "--output", folder / "a.png"],
        ["plot", "grid", triggers, "--data", file, "--output", folder / "b.png"],
        ["evaluate", "--weights", MODEL, "--data", file, "--all-stations", "--labels", folder],
        ["evaluate", "--triggers", triggers, "--data", file, "--labels", folder],
        ["compare", MODEL, "--data", file, "--all-stations"],
        ["train", "--data", file, "--output", folder / "c", "--steps", "1", "--workers", "0"],
        ["convert", "--weights", WEIGHTS, "--calibration", file, "--output", folder / "d"],
    ]


def test_every_case_is_expected():
    """A new form of a file has to be judged here."""
    judged = {*REFUSED, *NAMED, *NOT_PLAYED, *NOT_SENT, *NO_LABELS}
    assert judged <= set(hostile.CASES)
    assert len(set(hostile.CASES) - judged) > 40, "the others are read without a word"


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_ends_every_command_in_one_line(files, tmp_path, command, case):
    """Exit 2; the line names what was found, and nothing is written or replaced by another value.

    A run without triggers is scored all the same, and what of it cannot be read is counted.
    """
    file = files[case]
    of_sensor = [["sensor", "simulate", file, "--tcp", "0"],
                 ["sensor", "waveform", file, tmp_path / "w.bin"]]  # fmt: skip
    for arguments in (*of_sensor, *commands(file, tmp_path)):
        code, error, last = command(*arguments)
        if arguments[:2] == ["evaluate", "--triggers"] and code == 0:
            assert re.search(REFUSED[case], error), (arguments, error)
            continue  # a run without triggers; what was not played is counted
        assert code == 2, (arguments, error)
        assert re.search(REFUSED[case], last), (arguments, error)
    code, error, last = replayed(command, file, tmp_path / "out.jsonl")
    assert code == 2 and re.search(REFUSED[case], last), error
    assert not (tmp_path / "out.jsonl").exists() and not (tmp_path / "w.bin").exists()


@pytest.mark.parametrize("case", [c for c in hostile.CASES if c not in REFUSED])
def test_what_can_be_read_is_replayed_and_what_is_odd_is_named(files, tmp_path, command, case):
    """Earthquakes with labels are found at their place, whatever the form of rate and labels."""
    code, error, last = replayed(command, files[case], tmp_path / "out.jsonl")
    if case in NOT_PLAYED:
        assert code == 2 and re.search(NOT_PLAYED[case], last), error
        return
    assert code == 0, error
    if case in NAMED:
        assert re.search(NAMED[case], error), error
    elif case not in NO_LABELS:
        assert "events   4 of 4 found" in error, error
        warnings = [line for line in error.splitlines() if "warning" in line]
        assert [line for line in warnings if "no trace_start_time; dated" not in line] == []
    if case.startswith("start-"):
        first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
        minute = "2000-01-01T00:00" if case in NAMED else STARTS.get(case, "2020-01-07T08:24")
        assert first["start_time"].startswith(minute)


@pytest.mark.parametrize("case", [c for c in hostile.CASES if c not in REFUSED])
def test_a_sensor_sends_what_is_replayed(files, tmp_path, command, case):
    """The same rate and number of samples, and counts that move, whatever the unit."""
    code, error, last = command("sensor", "waveform", files[case], tmp_path / "w.bin")
    if case in NOT_SENT or case in ("one-bad", "label-two"):
        assert code == 2 and re.search(NOT_SENT.get(case) or NAMED[case], last), error
        return
    assert (code, error) == (0, "")
    content = (tmp_path / "w.bin").read_bytes()
    _, samples, channels, millihertz, units_per_count, unit, *_ = HEADER.unpack_from(content)
    counts = np.frombuffer(content[HEADER.size :], "<i4").reshape(samples, channels)
    moving = np.ptp(counts, axis=0) > 100
    assert moving.all() or case in ("constant", "vertical-only", "samples-1")
    rates = {"rate-prime": 97_300, "rate-slow": 1_000}
    assert millihertz == rates.get(case, 50_000 if case in hostile.HALVED else 100_000)
    names = {"unit-metres": "M/S", "unit-acceleration": "M/S**2"}
    assert UNITS[unit] == names.get(case, "")
    if case.startswith("unit-") and case != "unit-nanometres":
        assert 0 < units_per_count < 1e-3


@pytest.mark.parametrize("case", ["one-bad", "label-word", "label-s-first", "csv-one-row",
                                  "csv-latin1", "soft-links"])  # fmt: skip
def test_pictures_and_scores_name_what_is_odd(files, tmp_path, command, case):
    """As the replay does; a reader of figures must know what they are of."""
    reasons = {
        "label-word": "label that is not a number|no usable record|is not a number",
        "label-s-first": "S not after P|its S is not after its P",
    }
    wanted = reasons.get(case, NAMED[case])
    if case == "soft-links":
        wanted = "a link to /"
    replayed(command, files[case], tmp_path / "run.jsonl")
    of_run = [
        ["plot", "grid", tmp_path / "run.jsonl", "--data", files[case], "--output",
         tmp_path / "x.png"],
        ["evaluate", "--triggers", tmp_path / "run.jsonl", "--data", files[case], "--labels",
         tmp_path],
    ]  # fmt: skip
    for arguments in (*of_run, *commands(files[case], tmp_path)):
        is_run = arguments in of_run
        if arguments[0] in ("train", "convert") or (not is_run and "none.jsonl" in str(arguments)):
            continue
        if arguments[:2] == ["plot", "trace"] and case == "soft-links":
            continue  # the first one with a P is before them
        _, error, _ = command(*arguments)
        assert re.search(wanted, error), (arguments, error)


def test_a_run_whose_trace_cannot_be_read_any_more(files, tmp_path, command):
    """It is in the file, so the message must not state that it is not."""
    replayed(command, files["start-stead"], tmp_path / "run.jsonl")
    _, _, last = command(
        "evaluate", "--triggers", tmp_path / "run.jsonl", "--data", files["turned"],
        "--labels", tmp_path,
    )  # fmt: skip
    assert re.search(r"line 1: it was another file; trace .*: shape \(3, 6000\)", last)
