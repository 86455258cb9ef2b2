"""`eqedge compare`: the report's table from models, weights and records."""

import csv
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
from eqedge.__main__ import main
from eqedge.convert.comparison.continuous import agree, draw_windows
from eqedge.convert.comparison.costs import PickerCost, costs_of
from eqedge.convert.comparison.pickers import open_pickers
from eqedge.convert.comparison.scores import ComparisonScores, Score, choose, score_all
from eqedge.convert.comparison.table import Comparison, as_csv, as_markdown, as_text
from eqedge.convert.data.files import DataFiles
from eqedge.convert.data.matching import PhaseScore
from eqedge.convert.data.records import DataError, held_out
from eqedge.convert.data.unseen import Selection
from eqedge.convert.evaluation.summary import of_network
from eqedge.convert.evaluation.windowed import choose_data, score_networks
from eqedge.convert.proof.agreement import Agreement, HeadAgreement
from eqedge.edge.replay.synthetic import earthquake, noise
from eqedge.models.spec import HEADS

from tests.support.cards import trained_by

ALL = Selection(all_stations=True)
FLOAT, INT8 = "leqnet_gru_float32", "leqnet_gru_int8"
STATIONS = [next(f"S{k:03d}" for k in range(999) if held_out(f"S{k:03d}.XX") is side)
            for side in (True, False)]  # fmt: skip
"""One held out of training, and one not."""


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Return synthetic records: the even ones of a station held out, the odd ones not."""
    path = tmp_path_factory.mktemp("compare") / "records.hdf5"
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        for number in range(12):
            record = noise(rng) if number >= 8 else earthquake(rng)
            data = group.create_dataset(f"{number:02d}", data=record.waveform)
            data.attrs["network_code"] = "XX"
            data.attrs["receiver_code"] = STATIONS[number % 2]
            data.attrs["trace_category"] = "noise" if number >= 8 else "earthquake_local"
            data.attrs["p_status"] = "manual" if number < 4 else "autopicker"
            if number < 8:
                data.attrs["p_arrival_sample"] = float(record.p_arrival_sample)
                data.attrs["s_arrival_sample"] = float(record.s_arrival_sample)
    return path


def test_held_out_stations_unless_all_are_wanted(records):
    """Training may have seen the other stations; automatic picks may be left out."""
    assert len(choose([records], Selection(), False).scored()) == 6
    assert len(choose([records], ALL, False).scored()) == 12
    by_hand = choose([records], ALL, True).scored()
    assert sorted(record.kind for record in by_hand) == ["event"] * 4 + ["noise"] * 4


def test_records_without_an_earthquake_are_refused(tmp_path):
    """What would help is named."""
    path = tmp_path / "quiet.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data").create_dataset("a_NO", data=np.ones((6000, 3)))
        data.attrs["trace_category"] = "noise"
    with pytest.raises(DataError, match=r"quiet.hdf5: .*--all-stations"):
        choose([path], Selection(), False)


@pytest.fixture(scope="module")
def pickers():
    """Return both shipped models."""
    return open_pickers([FLOAT, INT8], ())


def test_all_see_the_same_windows(pickers, records):
    """The shipped models find synthetic earthquakes, and are scored on equally many labels."""
    scored = score_all(pickers, choose([records], ALL, False))
    assert scored.events == 24 and scored.noise >= 4 and scored.stations == 2
    for score in scored.scores:
        for head in (score.detection, score.P):
            assert head.found + head.missed == 24
        assert score.P.recall > 0.7 and score.detection.recall > 0.7
        assert score.P.mean_absolute_s is not None and score.P.mean_absolute_s < 0.3
    assert scored.scores[0] == score_all(pickers[:1], choose([records], ALL, False)).scores[0]


@pytest.mark.parametrize("views", [1, 2])
def test_evaluate_and_compare_give_one_network_the_same_figures(pickers, records, views):
    """Rates and residual of each head, false P and detections, to the last digit."""
    picker = pickers[0]
    peak = replace(picker.spec, preparation=replace(picker.spec.preparation, norm="peak"))
    picker = replace(picker, views=(picker.spec, peak)[:views])
    compared = score_all([picker], choose([records], ALL, False)).scores[0]
    limits = picker.spec.thresholds["default"]
    levels = (limits.detection_threshold, limits.P_threshold, limits.S_threshold)
    data = choose_data(DataFiles((records,), label_folder=records.parent / "labels"), (), (), ALL)
    (scores,) = score_networks([picker], data, levels, print).tables
    table = of_network(scores, {"default": levels})["scores"]["default"]
    by_hand = score_all([picker], choose([records], ALL, True)).scores[0]
    for row, score in (("pooled", compared), ("manually_picked", by_hand)):
        for head in ("detection", "P", "S"):
            own = getattr(score, head).row()
            if head == "detection":
                del own["mean_absolute_s"]
            assert {name: table[head][row][name] for name in own} == own
    noise = table["noise"]
    assert noise["false_p_per_hour"] == round(compared.false_p_per_hour, 2)
    assert noise["false_detections_per_hour"] == round(compared.false_detections_per_hour, 2)


def test_costs_are_of_each_network(pickers):
    """Sizes are the files', the first is the measure of time, memory is a small process's."""
    first, second = costs_of(pickers)
    assert (first.size_bytes, second.size_bytes) == tuple(len(e.data) for e in pickers)
    assert first.latency_ratio == 1.0 and second.latency_ms > 0
    # Python, numpy and the runtime, not this process with TensorFlow in it
    assert 20 < first.rss_mb < 300 and 20 < second.rss_mb < 300


def test_weights_become_float32(built, tmp_path):
    """Weights are counted and converted; without records to calibrate on only to float32."""
    path = tmp_path / "mine.weights.h5"
    network = built("leqnet-gru").network
    network.save_weights(path)
    (picker,) = open_pickers([str(path)], ())
    assert (picker.name, picker.card["precision"]) == ("mine_float32", "float32")
    assert (
        picker.architecture == "LEQNet-GRU" and picker.card["parameters"] == network.count_params()
    )
    window = np.random.default_rng(1).standard_normal((6000, 3)).astype(np.float32)
    expected = np.concatenate([np.asarray(y) for y in network(window[None])], axis=2)[0]
    np.testing.assert_allclose(picker.predict(window[None])[0], expected, atol=1e-4)


@pytest.fixture(scope="module")
def continuous(tmp_path_factory):
    """Return 200 s of each station, an earthquake in either half."""
    path = tmp_path_factory.mktemp("continuous") / "continuous.hdf5"
    rng = np.random.default_rng(6)
    with h5py.File(path, "w") as file:
        for station in STATIONS:
            halves = [earthquake(rng, n_samples=10_000).waveform for _ in range(2)]
            data = file.create_dataset(f"XX.{station}/a", data=np.concatenate(halves))
            data.attrs["network"], data.attrs["station"] = "XX", station
    return path


def test_windows_lie_at_random_places(continuous):
    """The same for the same file, no two alike, of stations held out unless all are wanted."""
    own, again = draw_windows([continuous], False, 40), draw_windows([continuous], False, 40)
    assert own.windows.shape == (40, 6000, 3) and own.traces == 1
    assert np.array_equal(own.windows, again.windows)
    assert len({window.tobytes() for window in own.windows}) > 35
    assert draw_windows([continuous], True, 40).traces == 2


def test_records_without_a_held_out_station_are_refused(continuous, tmp_path):
    """What would help is named."""
    with h5py.File(continuous) as whole, h5py.File(tmp_path / "some.hdf5", "w") as file:
        for name in whole:
            if not held_out(name.removeprefix("XX.") + ".XX"):
                whole.copy(name, file)
    with pytest.raises(DataError, match=r"some.hdf5: no continuous .*--all-stations"):
        draw_windows([tmp_path / "some.hdf5"], False)


def test_picks_are_held_against_the_first_networks(pickers, continuous):
    """It keeps all its own; another keeps most, and both are of the same picks."""
    own, other = agree(pickers, draw_windows([continuous], True, 40))
    for head in ("detection", "P", "S"):
        mine, its = own.heads[head], other.heads[head]
        assert mine.kept >= 10 and mine.lost == mine.added == 0
        assert its.kept + its.lost == mine.kept and its.kept_fraction > 0.7
        assert its.max_error > mine.max_error == 0


@pytest.fixture
def comparison(pickers):
    """Return a comparison of known numbers."""
    head = PhaseScore(8, 2, 2, 0.05)
    scores = (Score(head, head, head, 1.25), Score(head, head, PhaseScore(0, 0, 0, None), None))
    costs = (PickerCost(1500, 2.0, 1.0, 60.0), PickerCost(500, 1.0, 0.5, 50.0))
    return Comparison(pickers, costs, ComparisonScores(10, 4, 3, scores))


def test_text_and_markdown_have_every_network(comparison):
    """One row a network in each of two tables, below their heads."""
    text = as_text(comparison).splitlines()
    assert sum(line.startswith(INT8) for line in text) == 2
    assert text[1].split()[-4:] == ["2", "2.00", "1.00", "60"]
    marked = as_markdown(comparison).splitlines()
    assert sum(line.startswith(f"| {FLOAT} |") for line in marked) == 2
    tables = [line for line in marked if line.startswith("|")]
    assert {line.count("|") for line in tables[:4]} == {tables[0].count("|")}
    assert "10 windows of events and 4 of noise, 3 stations" in marked[-1]


def test_csv_is_plain_numbers(comparison):
    """A program reads it: no separators of thousands, nothing where nothing is known."""
    first, second = csv.DictReader(as_csv(comparison).splitlines())
    assert (first["model"], first["parameters"], first["P F1"]) == (FLOAT, "38720", "0.800")
    assert (second["latency"], second["S MAE s"], second["false P/h"]) == ("0.50", "", "")


def test_kept_picks_are_a_table_of_their_own(comparison):
    """In text, Markdown and CSV; where none was given there is no such table."""
    heads = {head: HeadAgreement(0.1, 0.01, 97, 7, 3, 1.0, 4.0) for head in HEADS}
    agreement = Agreement(230, 0, 0, heads, 1.0, 1.0)
    given = replace(comparison, kept=(agreement, agreement))
    assert as_text(given).split("\n\n")[2].splitlines()[1].split() == [
        FLOAT, *(3 * ["104", "97", "3"]), "4", "4"
    ]  # fmt: skip
    assert f"| {INT8} | 104 | 97 | 3 |" in as_markdown(given)
    assert "in 230 windows at random places" in as_markdown(given)
    first, _ = csv.DictReader(as_csv(given).splitlines())
    assert (first["P of"], first["P kept"], first["S p95"]) == ("104", "97", "4")
    assert "kept" not in as_text(comparison) + as_csv(comparison)


def run(monkeypatch, *arguments):
    """Run the command line in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["eqedge", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_command(records, continuous, tmp_path, monkeypatch, capsys):
    """It prints the table and writes CSV, Markdown and chart."""
    files = [tmp_path / name for name in ("t.csv", "t.md", "t.png")]
    assert not run(
        monkeypatch, FLOAT, INT8, "--data", records, "--continuous", continuous,
        "--table", files[0], "--markdown", files[1], "--chart", files[2],
    )  # fmt: skip
    assert capsys.readouterr().out.count(f"\n{INT8} ") == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.md", "t.png"]
    assert files[2].read_bytes()[:4] == b"\x89PNG"
    assert len(files[0].read_text().splitlines()) == 3


def test_a_network_is_not_scored_on_events_of_its_training(records, tmp_path, monkeypatch, capsys):
    """By its card's split; another one is refused for any of the networks, and a limit stated."""
    mine = trained_by(tmp_path / "mine", "event")
    with h5py.File(records) as whole, h5py.File(tmp_path / "few.hdf5", "w") as file:
        for name in list(whole["data"])[:8]:
            whole.copy(f"data/{name}", file.require_group("data"))
            names = (f"{name}-{k}" for k in range(999))
            event = next(e for e in names if held_out(e, "event") == (name < "02"))
            file[f"data/{name}"].attrs["source_id"] = event
    given = ("--data", tmp_path / "few.hdf5")
    assert not run(monkeypatch, mine, *given)
    out = capsys.readouterr()
    assert "6 windows of events and 2 of noise, 2 stations (stations: events held out)" in out.out
    assert not run(monkeypatch, mine, INT8, *given, "--limit", "1")
    out = capsys.readouterr()
    assert "stations and events held out; 1 of 1 records, drawn by seed 0" in out.out
    assert "only records are scored of which both" in out.err
    assert run(monkeypatch, INT8, mine, *given, "--split", "station") == 2
    assert "mine.training.json states" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ("nothing.h5", [], "nothing.h5: no such file; name weights"),
        (INT8, ["--continuous", "nothing.hdf5"], "data nothing.hdf5: no such file"),
        (INT8, ["--table", "no/where.csv"], "table no/where.csv: no such folder"),
        (
            INT8,
            ["--csv", "new.csv"],
            "--csv new.csv: no such file; name the labels of",
        ),
        (INT8, ["--chart", "chart.bmp"], "chart chart.bmp: name it .png, .svg or .pdf"),
    ],
)
def test_bad_input_is_one_line(records, monkeypatch, tmp_path, capsys, network, options, message):
    """The thing and the remedy, exit 2, nothing written."""
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, network, "--data", records, *options) == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("eqedge: ")]
    assert len(lines) == 1 and message in lines[0]
    assert list(tmp_path.iterdir()) == []
