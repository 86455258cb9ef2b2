"""Draw the share of P announced over the time since their arrival, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.intervals import COVERAGE_PERCENT, RESAMPLES
from . import plot_style
from .canvas import PlotError
from .lettering import fitted
from .plot_style import SMALL, WIDTH_INCHES
from .scores import Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

END_S = 10.0
SHORTEST_S = 5.0
"""The axis ends here or later, half a second after the last curve has risen."""


def onset_inches(series: Sequence[Series]) -> tuple[float, float]:
    """Width and height of a figure of onsets."""
    return WIDTH_INCHES, 3.5 + 0.17 * len(series)


def draw_onset(figure: Figure, series: Sequence[Series]) -> None:
    """Draw the share of P announced over the time since their arrival.

    Args:
        figure: Empty.
        series: At most as many as `plot_style.SERIES`.

    Raises:
        PlotError: None of them has an onset.
    """
    from matplotlib.lines import Line2D

    drawn = [
        (one.name, one.scores["live_onset"], line)
        for one, line in zip(series, plot_style.SERIES, strict=False)
        if one.scores.get("live_onset") is not None
    ]
    if not drawn:
        raise PlotError(
            "no onset in these scores: no P with 4.5 s of noise before it; evaluate on longer "
            "records"
        )
    axis = figure.subplots()
    handles: list[Any] = []
    for number, (name, onset, line) in enumerate(drawn):
        curve = onset["curve"]
        axis.step(
            np.array(curve["age_s"]), curve["announced"], where="post",
            color=line.colour, linestyle=line.style,
        )  # fmt: skip
        for age, interval in onset["interval"].items():
            share = onset["announced_by_s"][age]
            low, high = interval or (share, share)
            # bars at one time lie over each other: wider caps below narrower ones
            axis.errorbar(
                float(age), share, yerr=[[max(0.0, share - low)], [max(0.0, high - share)]],
                color=line.colour, marker=line.marker, markersize=4, linewidth=0.9,
                capsize=2 + 1.6 * (len(drawn) - number), zorder=3 + number,
            )  # fmt: skip
        label = fitted(f"{name}, {_median(onset)}", WIDTH_INCHES - 0.8, 7.5)
        handles.append(
            Line2D([], [], color=line.colour, linestyle=line.style, marker=line.marker,
                   markersize=4, label=label)
        )  # fmt: skip
    ages = ", ".join(drawn[0][1]["interval"])
    handles.append(
        axis.errorbar(
            [0], [-1], yerr=[0.1], color=plot_style.DIM, linestyle="", linewidth=0.9, capsize=4,
            label=f"{COVERAGE_PERCENT} % interval at {ages} s, of {RESAMPLES} resamples of the "
            "events",
        )
    )  # fmt: skip
    rising = [_last_rise(onset["curve"]) for _, onset, _ in drawn]
    axis.set_xlim(0, min(END_S, max(SHORTEST_S, *rising) + 0.5))
    axis.set_ylim(-0.03, 1.04)
    axis.grid(axis="y", color=plot_style.FAINT, linewidth=0.4)
    axis.set_xlabel("data after the P arrival (s)")
    axis.set_ylabel("share of P announced")
    axis.set_title("P announced with a pick within 0.5 s of the label", loc="left")
    figure.legend(handles=handles, loc="outside lower left", ncols=1, fontsize=SMALL + 0.5)


def _median(onset: Mapping[str, Any]) -> str:
    median = onset["median_s"]
    latency = "median none: below 50 %" if median is None else f"median {median:.2f} s"
    return f"{latency}, {onset['events']} arrivals"


def _last_rise(curve: Mapping[str, Any]) -> float:
    shares = np.array(curve["announced"])
    return float(np.array(curve["age_s"])[shares < shares[-1]].max(initial=0))
