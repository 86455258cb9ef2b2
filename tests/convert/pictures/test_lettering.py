"""No text of a figure is cut off, too small, or on another one, whatever the records are."""

import json
from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from eqedge.convert.comparison.chart import chart_inches, fill_chart
from eqedge.convert.evaluation.evaluate import SCHEMA
from eqedge.convert.pictures.canvas import Page
from eqedge.convert.pictures.choosing import read_traces
from eqedge.convert.pictures.grid import Panel, draw_grid
from eqedge.convert.pictures.grid import size_inches as grid_inches
from eqedge.convert.pictures.learning import draw_learning, read_history, size_inches
from eqedge.convert.pictures.lettering import broken, fitted, inches
from eqedge.convert.pictures.onset import draw_onset, onset_inches
from eqedge.convert.pictures.plot_style import SETTINGS, SMALL, WIDTH_INCHES
from eqedge.convert.pictures.precision_recall import (
    draw_precision_recall,
    precision_recall_inches,
)
from eqedge.convert.pictures.residuals import draw_residuals, residuals_inches
from eqedge.convert.pictures.scores import read_series
from eqedge.convert.pictures.trace import pages_of
from eqedge.convert.pictures.view import views_of
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.edge.replay.stead import SteadFile
from eqedge.models.registry import open_model
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

pytestmark = pytest.mark.slow  # draws many figures

LONG = "a_very_long_name_of_a_network_or_a_trace_that_nobody_would_choose_" * 3
MODELS = ("leqnet_gru_int8", "leqnet_gru_float32", "leqnet_gru_mixed")


def drawn(page):
    """A page as it would be written."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=page.size_inches)
        FigureCanvasAgg(figure)
        page.draw(figure)
        figure.draw_without_rendering()
    return figure


def texts_of(figure):
    """Every text that is seen, without ticks that lie outside their axis."""
    outside = set()
    for axes in figure.findobj(lambda artist: hasattr(artist, "xaxis")):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-9 * (high - low)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - margin <= tick.get_loc() <= high + margin:
                    outside |= {tick.label1, tick.label2}
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in outside
    ]


def assert_legible(page):
    """No text is outside the figure, smaller than the smallest, or on another one."""
    figure = drawn(page)
    assert figure.get_figwidth() == WIDTH_INCHES
    texts = texts_of(figure)
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in texts]
    assert all(text.get_fontsize() >= SMALL for text in texts)
    for name, box in boxes:
        inside = box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1
        assert inside and box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, f"cut off: {name!r}"
    for (name, box), (other_name, other) in combinations(boxes, 2):
        across = min(box.x1, other.x1) - max(box.x0, other.x0)
        up = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert across <= 1 or up <= 1, f"{name!r} on {other_name!r}"


@pytest.fixture(scope="module")
def trace():
    """The demo's first event."""
    with SteadFile(DEMO_FILE) as file:
        return read_traces(file, [])[0]


def odd_traces(trace):
    """Records of every odd kind."""
    wave = trace.waveform
    spike, one = wave.copy(), wave.copy()
    spike[3000, 2] = 1e9
    one[:, 0], one[:, 1] = 0, 123_456.789
    return [
        trace,
        replace(trace, name=LONG),
        replace(trace, name="two $dollars$ _and^ \\alpha"),
        replace(trace, waveform=wave * np.float32(1e30)),
        replace(trace, waveform=wave * np.float32(1e-15)),
        replace(trace, waveform=spike),
        replace(trace, waveform=one),
        replace(trace, waveform=wave[:3500]),
        replace(trace, p_arrival_sample=None, s_arrival_sample=None),
        replace(trace, s_arrival_sample=None, start_time_ns=None),
        replace(trace, attributes={"unit": "a unit with a name that is far too long"}),
    ]


@pytest.mark.parametrize(
    ("number", "models"), [(1, MODELS), (2, MODELS), (3, MODELS[:1]), (20, MODELS[:2])]
)
def test_traces(trace, number, models):
    """One, two, three or twenty records with one model or several."""
    traces = (odd_traces(trace) * 2)[-number:]
    views = views_of(traces, [open_model(model) for model in models], None)
    pages = pages_of(views)
    assert len(pages) >= number / 6
    assert all(page.size_inches[1] <= 9.7 for page in pages)
    for page in pages[-2:]:
        assert_legible(page)


@pytest.mark.parametrize("number", range(11))
def test_each_odd_trace_alone(trace, number):
    """Each fills a figure; so does a model that finds nothing at all."""
    (view,) = views_of([odd_traces(trace)[number]], [open_model(MODELS[0])], None)
    nothing = replace(
        view.answers[0], probabilities=view.answers[0].probabilities * 0, marks=[], model=LONG
    )
    for answers in (view.answers, [nothing]):
        (page,) = pages_of([replace(view, answers=answers)])
        assert_legible(page)


@pytest.mark.parametrize("number", [1, 2, 11])
def test_grids(trace, number):
    """With right, false and unlabelled picks, two of them near each other."""
    picks = [("P", 29.8), ("S", 38.2), ("P", 31.0), ("S", 39.0), ("P", -3.0)]
    panels = [Panel(one, picks) for one in odd_traces(trace)[:number]]
    assert_legible(Page(grid_inches(number), lambda figure: draw_grid(figure, panels)))


def test_the_chart_of_a_comparison():
    """Of one network or twelve, with long names, scores of 0 and 1, and files of any size."""
    for number in (1, 12):
        names = [LONG if k % 2 else f"net {k}" for k in range(number)]
        pickers = [SimpleNamespace(name=name) for name in names]
        heads = {"detection": SimpleNamespace(f1=1.0), "P": SimpleNamespace(f1=0.0)}
        scores = [SimpleNamespace(**heads, S=SimpleNamespace(f1=k / 12)) for k in range(number)]
        costs = [SimpleNamespace(latency_ratio=1.5**k, size_bytes=10**k) for k in range(number)]
        scored = SimpleNamespace(scores=scores, events=1234567, noise=1234567, stations=1)
        found = SimpleNamespace(pickers=pickers, costs=costs, scored=scored)
        page = Page(chart_inches(number), lambda figure, found=found: fill_chart(figure, found))
        assert_legible(page)
        written = [text.get_text() for text in texts_of(drawn(page))]
        assert "detection" in written
        assert sum(text.startswith("a_very") for text in written) == number // 2


def many_series(scores, tmp_path, number, long=False):
    """Series of a report with as many networks; the sweeps differ a little, as theirs do."""
    report = json.loads(scores.read_text())
    one = json.dumps(report["models"]["leqnet_gru_int8"])
    models = {f"{LONG if long else 'network'} {k}": json.loads(one) for k in range(number)}
    path = tmp_path / "many.json"
    path.write_text(json.dumps({"schema": SCHEMA, "models": models, "runs": {}}))
    return read_series(path, None)


@pytest.mark.parametrize(("number", "long"), [(1, False), (5, False), (5, True)])
def test_scores(scores, tmp_path, number, long):
    """Of one network or five, with long names."""
    series = many_series(scores, tmp_path, number, long)
    for size, draw in (
        (residuals_inches(series), draw_residuals),
        (onset_inches(series), draw_onset),
    ):
        assert_legible(Page(size, lambda figure, draw=draw: draw(figure, series)))
    assert_legible(
        Page(
            precision_recall_inches(series),
            lambda figure: draw_precision_recall(figure, series, "pooled"),
        )
    )


@pytest.mark.parametrize("shape", ["steep", "together", "at one", "random"])
def test_thresholds_do_not_overprint(scores, tmp_path, shape):
    """Wherever the curves go: most thresholds are written, none on another."""
    series = many_series(scores, tmp_path, 3)
    rng = np.random.default_rng(7)
    for one in series:
        n = len(one.sweep["threshold"])
        for phase in "PS":
            recall, precision = {
                "steep": (np.full(n, 0.98), np.linspace(0.5, 1, n)),
                "together": (np.full(n, 0.8), np.full(n, 0.8)),
                "at one": (np.ones(n), np.ones(n)),
                "random": (rng.uniform(0.4, 1, n), rng.uniform(0.4, 1, n)),
            }[shape]
            one.sweep[phase]["pooled"] |= {
                "recall": recall.tolist(), "precision": precision.tolist()
            }  # fmt: skip
    page = Page(
        precision_recall_inches(series),
        lambda figure: draw_precision_recall(figure, series, "pooled"),
    )
    assert_legible(page)
    for axes in drawn(page).axes:
        written = [text.get_text() for text in axes.texts if not text.get_text().startswith("F1")]
        assert written == ["0.1 to 0.7"] if shape in ("together", "at one") else len(written) >= 3


def test_learning(training):
    """With and without losses."""
    notes = read_history(training)
    assert_legible(Page(size_inches(notes), lambda figure: draw_learning(figure, notes)))
    losses = [
        {"steps": 700 * k, "loss": 0.1 / k, "validation": {"loss": 0.4, "P": 0.2}} for k in (1, 2)
    ]
    every = [*losses, *notes]
    assert_legible(Page(size_inches(every), lambda figure: draw_learning(figure, every)))


def test_a_text_is_shortened_in_its_middle_and_a_list_broken_at_its_commas():
    """Until it is no wider; what fits stays, and no part is lost."""
    assert fitted("short", 2, 8) == "short"
    shortened = fitted(LONG, 2, 8)
    assert inches(shortened, 8) <= 2 < inches(LONG, 8)
    assert shortened.startswith(LONG[:5]) and shortened.endswith(LONG[-5:])
    text = ", ".join(["P +0.10 s", "S missed", "2 P and 1 S false"])
    lines = broken(text, 1.2, 8).split("\n")
    assert " ".join(lines) == text and len(lines) > 1
    assert all(inches(line, 8) <= 1.3 for line in lines)
