"""What stands in the figures is what the data say."""

import json
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from eqedge.convert.pictures import plot_style
from eqedge.convert.pictures.canvas import PlotError
from eqedge.convert.pictures.choosing import read_traces
from eqedge.convert.pictures.grid import Panel, draw_grid, panels_of
from eqedge.convert.pictures.learning import draw_learning, read_history, size_inches
from eqedge.convert.pictures.onset import draw_onset
from eqedge.convert.pictures.precision_recall import draw_precision_recall
from eqedge.convert.pictures.residuals import bars, draw_residuals
from eqedge.convert.pictures.scores import read_series
from eqedge.convert.pictures.trace import draw_traces
from eqedge.convert.pictures.view import views_of
from eqedge.edge.detector import Detector
from eqedge.edge.prepare import prepare
from eqedge.edge.replay.fields import TraceError
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.edge.replay.selection import EVERYTHING, TraceSelection
from eqedge.edge.replay.stead import SteadFile
from eqedge.models.registry import DEFAULT_MODEL, open_model
from matplotlib.figure import Figure


@pytest.fixture(scope="module")
def view():
    """The demo's first event, and what the shipped model finds in it."""
    with SteadFile(DEMO_FILE) as file:
        return view_of(read_traces(file, [])[0])


def view_of(trace, from_seconds=None, models=(DEFAULT_MODEL,)):
    """One trace and the answers of some models."""
    (view,) = views_of([trace], [open_model(model) for model in models], from_seconds)
    return view


def changed(trace, **fields):
    """The same trace with other fields."""
    return type(trace)(**{**vars(trace), **fields})


def upright(axis):
    """Where vertical lines stand."""
    lines = [line.get_xdata() for line in axis.get_lines()]
    return sorted({float(x[0]) for x in lines if len(x) == 2 and x[0] == x[1]})


def test_a_record_shows_samples_labels_and_the_nodes_own_probabilities(view):
    """Three components, label lines at P and S, and curves that are the detector's."""
    figure = Figure()
    draw_traces(figure, [view])
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


def test_every_threshold_is_drawn_and_in_the_legend(view):
    """Three lines at the default preset's values, in the order detection, P, S."""
    figure = Figure()
    draw_traces(figure, [view])
    thresholds = view.answers[0].thresholds
    level = [
        float(line.get_ydata()[0])
        for line in figure.axes[3].get_lines()
        if len(line.get_ydata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]
    ]
    assert level == list(thresholds.values()) and len(level) == 3
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {f"{head} threshold {value:g}" for head, value in thresholds.items()} <= set(texts)


def test_models_have_a_row_each_below_the_record(view):
    """Named above it with what became of the labels; two of one name are numbered."""
    models = ("leqnet_gru_int8", "leqnet_gru_float32", "leqnet_gru_int8")
    figure = Figure(figsize=(6.69, 8))
    draw_traces(figure, [view_of(view.trace, models=models)])
    titles = [axis.get_title(loc="left") for axis in figure.axes[3:]]
    assert [title.split(":")[0] for title in titles] == [*models[:2], "leqnet_gru_int8 (2)"]
    assert all("P " in title and " s" in title for title in titles)


def test_a_component_without_motion_is_named(view):
    """Zeros are no data, another constant is dead; neither has a scale."""
    wave = view.trace.waveform.copy()
    wave[:, 0], wave[:, 1] = 0, 1234
    figure = Figure()
    draw_traces(figure, [view_of(changed(view.trace, waveform=wave))])
    east, north, up, _ = figure.axes
    assert [text.get_text() for text in east.texts] == ["no data: every sample is 0"]
    assert [text.get_text() for text in north.texts] == ["dead: every sample is 1234"]
    assert not up.texts and len(up.get_yticks()) == 3 and len(east.get_yticks()) == 0


def test_a_longer_record_is_cut_about_its_p(view):
    """A window of 60 s with P at a quarter of it, or at a given second."""
    trace = view.trace
    waveform = np.concatenate([trace.waveform] * 3)
    longer = changed(trace, waveform=waveform, p_arrival_sample=9000.0)
    assert view_of(longer).first == 7500
    chosen = view_of(longer, 20.0)
    assert chosen.first == 2000 and chosen.seconds[0] == 20.0 and len(chosen.samples) == 6000
    with pytest.raises(PlotError, match="180 s long, from 200 s on there is less"):
        view_of(longer, 200.0)


def test_a_record_of_another_rate_is_resampled_for_the_model_and_drawn_as_it_is(view):
    """At 50 Hz the samples drawn are the file's, and P is found where it was."""
    trace = view.trace
    labels = {k: getattr(trace, k) / 2 for k in ("p_arrival_sample", "s_arrival_sample")}
    slower = view_of(changed(trace, waveform=trace.waveform[::2], rate_hz=50.0, **labels))
    assert len(slower.samples) == 3000 and len(slower.answers[0].probabilities) == 6000
    found = [mark for mark in slower.answers[0].marks if mark.phase == "P"]
    assert [mark.verdict for mark in found] == ["right"]
    with pytest.raises(TraceError, match=r"3 Hz cannot be turned into the model's 100 Hz"):
        view_of(changed(trace, rate_hz=3.0))


def test_a_grid_tells_right_from_false(triggers):
    """Nine P are 0.1 s late, one is 2 s late and false, no S is picked."""
    panels = panels_of(triggers, DEMO_FILE, EVERYTHING, 12)
    assert len(panels) == 12
    residuals = [p.residual("P") for p in panels if p.trace.p_arrival_sample is not None]
    assert sorted(r is None for r in residuals) == [False] * 9 + [True]
    assert all(r == pytest.approx(0.1, abs=0.006) for r in residuals if r is not None)
    figure = Figure()
    draw_grid(figure, panels)
    assert figure.get_suptitle() == "Picked within 0.5 s of the label: P 9 of 10, S 0 of 10"
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert (
        sum("P missed, S missed, false: 1 P" in title.replace("\n", " ") for title in titles) == 1
    )
    assert sum("P +0.10 s, S missed" in title for title in titles) == 9
    assert sum("noise" in title for title in titles) == 2


def verdicts(trace, *picks):
    """How picks on a trace are judged."""
    return [mark.verdict for mark in Panel(trace, picks).marks]


def test_a_pick_that_nobody_labelled_is_neither_right_nor_false(view):
    """As in the scores: nothing is known of S in an event without an S label; noise has none."""
    event = replace(view.trace, s_arrival_sample=None)
    quiet = replace(event, kind="noise", p_arrival_sample=None)
    assert verdicts(event, ("S", 38.0)) == ["unlabelled"]
    assert verdicts(event, ("S", 38.0), ("P", 1.0)) == ["false", "unlabelled"]
    assert verdicts(quiet, ("S", 38.0)) == ["false"]


def test_of_two_picks_at_one_label_the_nearer_is_right(view):
    """The other is false, as the scores have it."""
    p = view.trace.p_arrival_sample / 100
    assert verdicts(view.trace, ("P", p - 0.3), ("P", p + 0.1)) == ["false", "right"]


def test_each_verdict_has_a_shape_of_its_own(view):
    """So that false and unlabelled differ without colour, in the panel as in the legend."""
    event = replace(view.trace, s_arrival_sample=None)
    figure = Figure()
    draw_grid(
        figure, [Panel(event, [("S", 38.0), ("P", 1.0), ("P", event.p_arrival_sample / 100)])]
    )
    drawn = {
        (line.get_marker(), line.get_markerfacecolor() == "white")
        for line in figure.axes[0].get_lines()
        if line.get_linestyle() == "None"
    }
    assert len(drawn) == 3
    entries = [handle for handle in figure.legends[0].legend_handles[2:]]
    assert {(e.get_marker(), e.get_markerfacecolor() == "white") for e in entries} == drawn


def test_a_phase_without_any_label_is_not_drawn_as_0_of_0(view):
    """The title counts its picks instead."""
    event = replace(view.trace, s_arrival_sample=None)
    figure = Figure()
    draw_grid(figure, [Panel(event, [("S", 38.0)])])
    assert figure.get_suptitle().endswith("P 0 of 1, 1 S without any label")


def test_the_scale_of_each_component_is_written_at_its_end(view):
    """Its largest amplitude, two digits, and the unit where the file has one."""
    wave = np.zeros((6000, 3), np.float32)
    wave[3000] = (-52_345, 1.2e-7, 0)
    attributes = {**view.trace.attributes, "unit": "m/s"}
    figure = Figure()
    draw_grid(figure, [Panel(changed(view.trace, waveform=wave, attributes=attributes), [])])
    assert [text.get_text() for text in figure.axes[0].texts] == ["silent", "1·10⁻⁷", "52000"]
    assert figure.legends[0].get_title().get_text().endswith("at its right in m/s.")


def test_a_grid_of_fewer_panels_draws_the_same_ones_again(triggers):
    """The seed chooses."""
    chosen = [panels_of(triggers, DEMO_FILE, TraceSelection(seed=s), 5) for s in (3, 3, 4)]
    names = [[panel.trace.name for panel in panels] for panels in chosen]
    assert names[0] == names[1] != names[2] and len(names[0]) == 5


def test_residual_bars_hold_every_arrival(scores):
    """Bars of 0.05 s about zero; with the tails and those without a pick they are all arrivals."""
    figure = Figure()
    series = read_series(scores, None)
    draw_residuals(figure, series)
    assert len(figure.axes) == 6
    found = series[2].scores["residuals"]["P"]["arrivals"]  # the run's: 0.1 s late, one 2 s
    assert (found["labelled"], found["later"], found["without_pick"]) == (10, 1, 0)
    drawn = figure.axes[4].patches[0].get_data()
    at = int(np.argmax(drawn.values))
    assert drawn.values[at] == pytest.approx(0.9)
    assert drawn.edges[at] == pytest.approx(0.075) and drawn.edges[at + 1] == pytest.approx(0.125)
    tails = [patch for patch in figure.axes[4].patches if patch.get_hatch()]
    assert [tail.get_height() for tail in tails] == pytest.approx([0, 0.1])
    assert [text.get_text() for text in figure.axes[4].texts] == ["0", "1"]


def test_the_outer_bars_of_residuals_end_with_the_tolerance():
    """101 samples in bars of five: the middle one about zero, the outer ones narrower."""
    counts = np.arange(101)
    edges, sums = bars({"counts": counts.tolist(), "first_s": -0.5, "step_s": 0.01})
    assert edges[0] == pytest.approx(-0.505) and edges[-1] == pytest.approx(0.505)
    assert sums.sum() == counts.sum() and sums[len(sums) // 2] == 48 + 49 + 50 + 51 + 52


def test_residuals_of_older_scores_are_refused(scores):
    """They have no arrivals; the remedy is named."""
    series = read_series(scores, None)
    del series[0].scores["residuals"]["S"]["arrivals"]
    with pytest.raises(PlotError, match="older version; run eqedge evaluate again"):
        draw_residuals(Figure(), series)


def test_precision_against_recall_is_the_sweep(scores):
    """A curve for each network, a point for the run, and all of them in the legend."""
    figure = Figure()
    series = read_series(scores, None)
    draw_precision_recall(figure, series, "pooled")
    curve, _, _, _, point, *_ = figure.axes[0].get_lines()
    swept = json.loads(scores.read_text())["models"]["leqnet_gru_int8"]["sweep"]["P"]["pooled"]
    assert curve.get_xdata().tolist() == [r for r in swept["recall"] if r > 0]
    assert (point.get_xdata().tolist(), point.get_ydata().tolist()) == ([0.9], [0.9])
    handles = figure.legends[0].legend_handles
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:3] == ["leqnet_gru_int8", "leqnet_gru_float32", "run.jsonl (run)"]
    assert [h.get_marker() for h in handles[:3]] == [x.marker for x in plot_style.SERIES[:3]]


def test_precision_without_a_label_is_an_error(scores):
    """Not an empty picture; the other rows are the remedy."""
    series = read_series(scores, None)
    for one in series:
        for phase in "PS":
            one.scores[phase]["manually_picked"] |= {"found": 0, "missed": 0}
    with pytest.raises(PlotError, match="picked by hand; give --rows pooled"):
        draw_precision_recall(Figure(), series, "manually_picked")


def test_onset_curves_never_fall(scores):
    """A curve for each, with the run's jump where its triggers say."""
    figure = Figure()
    draw_onset(figure, read_series(scores, "P 0.5, S 0.5"))
    steps = [x for x in figure.axes[0].get_lines() if x.get_drawstyle() == "steps-post"]
    assert len(steps) == 3
    for line in steps:
        assert np.all(np.diff(line.get_ydata()) >= 0)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(names) == 4 and "95 % interval at 0.5, 1, 2, 3, 5 s" in names[3]
    points = [x for bar in figure.axes[0].containers[:-1] for x in bar.lines[0].get_xdata()]
    assert sorted(set(points)) == [0.5, 1, 2, 3, 5]  # none is shifted
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


def test_the_loss_on_held_out_records_has_a_curve_and_one_for_each_head(training):
    """The whole beside that of the training, the heads in a panel of their own."""
    losses = {"loss": 0.6, "detection": 0.3, "P": 0.1, "S": 0.2}
    notes = [
        {"steps": 1000 * k, "loss": 1.0, "validation": {name: x / k for name, x in losses.items()}}
        for k in (1, 2)
    ]
    (training / "history.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    figure = Figure()
    draw_learning(figure, read_history(training))
    whole, heads = (axis.get_lines() for axis in figure.axes)
    assert [float(line.get_ydata()[1]) for line in whole] == [1.0, 0.3]
    assert [line.get_label() for line in heads] == ["detection", "P", "S"]
    assert [float(line.get_ydata()[1]) for line in heads] == [0.15, 0.05, 0.1]


def luminance(colour):
    """Of a colour, 0 to 1 (Rec. 709)."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_networks_differ_without_colour():
    """By style and marker each, and neighbours by darkness."""
    for one, other in combinations(plot_style.SERIES, 2):
        assert one.style != other.style and one.marker != other.marker
    for one, other in pairwise(plot_style.SERIES):
        assert abs(luminance(one.colour) - luminance(other.colour)) > 0.12


def test_phases_differ_without_colour_and_labels_from_models():
    """P and S by darkness and dashes; a label's line is broken, a pick's symbol is one."""
    p, s = plot_style.P, plot_style.S
    assert abs(luminance(p.colour) - luminance(s.colour)) > 0.25
    assert p.label_style != s.label_style and "-" not in (p.label_style, s.label_style)
    assert p.style != s.style and p.marker != s.marker
    assert len({str(line.threshold_style) for line in plot_style.HEADS.values()}) == 3
