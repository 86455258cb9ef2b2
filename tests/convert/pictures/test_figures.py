"""What stands in the figures is what the data say."""

import json
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from eqedge.convert.pictures import plot_style
from eqedge.convert.pictures.canvas import PlotError
from eqedge.convert.pictures.grid import Panel, draw_grid, panels_of
from eqedge.convert.pictures.learning import draw_learning, read_history, size_inches
from eqedge.convert.pictures.scores import (
    draw_onset,
    draw_precision_recall,
    draw_residuals,
    read_series,
)
from eqedge.convert.pictures.trace import draw_trace
from eqedge.convert.pictures.view import read_trace, view_of
from eqedge.edge.detector import Detector
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.edge.replay.stead import SteadFile
from eqedge.models.registry import DEFAULT_MODEL, open_model
from matplotlib.figure import Figure


@pytest.fixture(scope="module")
def view():
    """The demo's first event, and what the shipped model says of it."""
    with SteadFile(DEMO_FILE) as file:
        return view_of(read_trace(file, None), open_model(DEFAULT_MODEL), None)


def upright(axis):
    """Where vertical lines stand."""
    lines = [line.get_xdata() for line in axis.get_lines()]
    return sorted({float(x[0]) for x in lines if len(x) == 2 and x[0] == x[1]})


def test_a_record_shows_samples_labels_and_the_nodes_own_probabilities(view):
    """Three components, label lines at P and S, and curves that are the detector's."""
    figure = Figure()
    draw_trace(figure, view)
    east, _, up, below = figure.axes
    wave = view.trace.waveform
    assert np.allclose(up.get_lines()[0].get_ydata(), wave[:, 2] - wave[:, 2].mean(), atol=1)
    arrivals = [view.trace.p_arrival_sample / 100, view.trace.s_arrival_sample / 100]
    assert upright(east) == upright(below) == arrivals
    model = open_model(DEFAULT_MODEL)
    expected = Detector(model)(prepare(wave, model.spec))
    drawn = [line.get_ydata() for line in below.get_lines() if len(line.get_ydata()) == len(wave)]
    assert np.array_equal(drawn, expected.T)
    marks = [line for line in below.get_lines() if line.get_marker() == "v"]
    assert [float(m.get_xdata()[0]) for m in marks] == pytest.approx(arrivals, abs=0.5)


def test_a_longer_record_is_cut_about_its_p(view):
    """A window of 60 s with P at a quarter of it, or at a given second."""
    trace = view.trace
    longer = type(trace)(**{
        **vars(trace),
        "waveform": np.concatenate([trace.waveform] * 3),
        "p_arrival_sample": 9000.0,
    })  # fmt: skip
    model = open_model(DEFAULT_MODEL)
    assert view_of(longer, model, None).first == 7500
    chosen = view_of(longer, model, 20.0)
    assert chosen.first == 2000 and chosen.seconds[0] == 20.0 and len(chosen.samples) == 6000
    with pytest.raises(PlotError, match="180 s long; --from 200 leaves nothing"):
        view_of(longer, model, 200.0)


def test_a_record_of_another_rate_is_refused(view):
    """The model would see other frequencies."""
    slower = type(view.trace)(**{**vars(view.trace), "rate_hz": 50.0})
    with pytest.raises(PlotError, match=f"50 Hz, model {DEFAULT_MODEL} wants 100 Hz"):
        view_of(slower, open_model(DEFAULT_MODEL), None)


def test_a_grid_tells_right_from_false(triggers):
    """Nine P are 0.1 s late, one is 2 s late and false, no S is picked."""
    panels = panels_of(triggers, DEMO_FILE, None, 0, 12)
    assert len(panels) == 12
    residuals = [p.residual("P") for p in panels if p.trace.p_arrival_sample is not None]
    assert sorted(r is None for r in residuals) == [False] * 9 + [True]
    assert all(r == pytest.approx(0.1, abs=0.006) for r in residuals if r is not None)
    figure = Figure()
    draw_grid(figure, panels)
    assert figure.get_suptitle() == "Picked within 0.5 s of the label: P 9 of 10, S 0 of 10"
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert sum("P missed, S missed, 1 false" in title for title in titles) == 1
    assert sum("P +0.10 s, S missed" in title for title in titles) == 9
    assert sum("noise" in title for title in titles) == 2


def test_a_pick_that_nobody_labelled_is_neither_right_nor_false(view):
    """As in the scores: nothing is known of S in an event without an S label; noise has none."""
    event = replace(view.trace, s_arrival_sample=None)
    quiet = replace(event, kind="noise", p_arrival_sample=None)
    assert Panel(event, [("S", 38.0)]).is_right("S", 38.0) is None
    assert Panel(event, [("S", 38.0), ("P", 1.0)]).false == 1
    assert Panel(quiet, [("S", 38.0)]).false == 1


def test_a_grid_of_fewer_panels_draws_the_same_ones_again(triggers):
    """The seed chooses."""
    names = [[p.trace.name for p in panels_of(triggers, DEMO_FILE, None, s, 5)] for s in (3, 3, 4)]
    assert names[0] == names[1] != names[2] and len(names[0]) == 5


def test_residual_bars_hold_every_pick(scores):
    """Bars of 0.05 s about zero, whose heights are shares of the right picks."""
    figure = Figure()
    series = read_series(scores, None)
    draw_residuals(figure, series)
    assert len(figure.axes) == 6
    bars = figure.axes[4].patches[0].get_data()  # the run's P, 0.1 s late
    at = int(np.argmax(bars.values))
    assert bars.values[at] == pytest.approx(1.0)
    assert bars.edges[at] == pytest.approx(0.075) and bars.edges[at + 1] == pytest.approx(0.125)


def test_precision_against_recall_is_the_sweep(scores):
    """A curve for each network, a point for the run."""
    figure = Figure()
    series = read_series(scores, None)
    draw_precision_recall(figure, series, "pooled")
    curve = next(x for x in figure.axes[0].get_lines() if x.get_label() == "leqnet_gru_int8")
    swept = json.loads(scores.read_text())["models"]["leqnet_gru_int8"]["sweep"]["P"]["pooled"]
    assert curve.get_xdata().tolist() == [r for r in swept["recall"] if r > 0]
    point = next(x for x in figure.axes[0].get_lines() if x.get_label() == "run.jsonl")
    assert (point.get_xdata().tolist(), point.get_ydata().tolist()) == ([0.9], [0.9])


def test_onset_curves_never_fall(scores):
    """A curve for each, with the run's jump where its triggers say."""
    figure = Figure()
    draw_onset(figure, read_series(scores, "P 0.5, S 0.5"))
    steps = [x for x in figure.axes[0].get_lines() if x.get_drawstyle() == "steps-post"]
    assert len(steps) == 3
    for line in steps:
        assert np.all(np.diff(line.get_ydata()) >= 0)
    run = dict(zip(steps[2].get_xdata().tolist(), steps[2].get_ydata(), strict=True))
    assert (run[0.75], run[1.0]) == (0.0, 0.9)


def test_learning_curves_are_the_notes(training):
    """F1, false picks and announced shares over the steps."""
    figure = Figure()
    draw_learning(figure, read_history(training))
    f1, noise, announced = figure.axes
    assert f1.get_lines()[0].get_xdata() == pytest.approx([1, 2, 3])
    assert f1.get_lines()[0].get_ydata() == pytest.approx([0.5, 0.6, 0.7])
    assert noise.get_lines()[0].get_ydata() == pytest.approx([9, 8, 7])
    assert announced.get_lines()[1].get_ydata() == pytest.approx([0.6, 0.7, 0.8])


def test_the_loss_has_a_panel_where_it_was_noted(training):
    """Noted every minute, also between scores; a run too short for two scores has it alone."""
    history = training / "history.jsonl"
    scored = history.read_text().splitlines()
    losses = [json.dumps({"steps": 500 * k, "loss": 1.0 / k, "windows_per_s": 9}) for k in (1, 2)]
    for lines, panels in ((losses + scored, 4), (losses + scored[:1], 1)):
        history.write_text("\n".join(lines))
        notes = read_history(training)
        figure = Figure(figsize=size_inches(notes))
        draw_learning(figure, notes)
        assert len(figure.axes) == panels
        loss = figure.axes[0].get_lines()[0]
        assert loss.get_xdata() == pytest.approx([0.5, 1.0])
        assert loss.get_ydata() == pytest.approx([1.0, 0.5])


def luminance(colour):
    """Of a colour, 0 to 1 (Rec. 709)."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("lines", [plot_style.SERIES, (plot_style.P, plot_style.S)])
def test_lines_differ_without_colour(lines):
    """By style and marker each, and neighbours by darkness."""
    for one, other in combinations(lines, 2):
        assert one.style != other.style and one.marker != other.marker
    for one, other in pairwise(lines):
        assert abs(luminance(one.colour) - luminance(other.colour)) > 0.12
