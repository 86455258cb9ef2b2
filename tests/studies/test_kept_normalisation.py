"""Windows normalised by an earlier window."""

import sys

import h5py
import numpy as np
import pytest
from eqedge.convert.console import run_with_one_line_errors
from eqedge.edge.detector import Detector
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.synthetic import earthquake
from eqedge.models.registry import DEFAULT_MODEL, open_model
from eqedge.models.spec import ModelSpec

from studies.kept_normalisation import compare_ages, main, prepared_by


def test_a_window_by_itself_is_prepared_as_on_the_node():
    """With its own mean and deviation the study's windows are the node's."""
    rng = np.random.default_rng(2)
    window = rng.normal(40, 300, (6000, 3))
    expected = prepare(window, ModelSpec("m", "leqnet-gru"))
    np.testing.assert_allclose(prepared_by(window, window), expected, atol=1e-5)


def test_a_component_that_stood_still_stays_zero():
    """Nothing is divided by zero."""
    window = np.ones((100, 3))
    assert not prepared_by(window * 7, window).any()


def test_an_arrival_that_the_older_window_lacks_changes_the_picks():
    """Steady noise may be normalised by the past; an earthquake that has just come may not."""
    detector = Detector(open_model(DEFAULT_MODEL))
    rng = np.random.default_rng(4)
    quiet = rng.normal(0, 100, (9000, 3))
    records = []
    for _ in range(6):
        shaking = earthquake(rng)
        before = shaking.waveform[: shaking.p_arrival_sample - 50]
        records.append(np.concatenate([np.resize(before, (6000, 3)), shaking.waveform]))

    def changed(waveforms):
        found = compare_ages(waveforms, detector, ages=(30,))[30]
        return sum(kept.lost + kept.added for kept in found.values())

    assert changed([quiet]) == 0
    assert changed(records) > 0


def run(monkeypatch, *arguments):
    """Run the command line in this process; its exit code, 0 where it just ends."""
    monkeypatch.setattr(sys, "argv", ["streaming", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run_with_one_line_errors(main, "streaming")
    return ended.value.code


def test_the_command_reports_what_it_left_out(tmp_path, monkeypatch, capsys):
    """A line an age and a phase; what is too short, or does not move, is counted."""
    shaking = earthquake(np.random.default_rng(8), n_samples=9500)
    with h5py.File(tmp_path / "some.hdf5", "w") as file:
        file["data/good"] = shaking.waveform
        file["data/short"] = shaking.waveform[:7000]
        file["data/still"] = np.ones((9500, 3))
    assert not run(monkeypatch, tmp_path / "some.hdf5")
    captured = capsys.readouterr()
    assert (
        captured.out.count("\n") == 8
        and "normalised   1 s before  P  1 of 1 (100.0%)" in captured.out
    )
    assert captured.err.splitlines() == [
        "eqedge: 1: shorter than 9000 samples",
        "eqedge: 1: no motion on any component",
    ]


def cut_short(path):
    """Lose the end of a file."""
    with h5py.File(path, "w") as file:
        file["data/a"] = np.ones((9500, 3))
    path.write_bytes(path.read_bytes()[:2000])


def too_short(path):
    """Hold nothing that is long enough."""
    with h5py.File(path, "w") as file:
        file["data/a"] = np.ones((8999, 3))


@pytest.mark.parametrize(
    ("write", "options", "message"),
    [
        (lambda path: path.write_bytes(b"no HDF5"), [], "some.hdf5: not a readable HDF5 file"),
        (lambda path: None, [], "some.hdf5: no such file"),
        (cut_short, [], "some.hdf5: not a readable HDF5 file"),
        (too_short, [], "some.hdf5: no record of 9000 usable samples; give another file"),
        (too_short, ["--model", "nothing"], "model nothing: No such file"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, write, options, message):
    """The thing and the remedy, exit 2."""
    write(tmp_path / "some.hdf5")
    assert run(monkeypatch, tmp_path / "some.hdf5", *options) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
