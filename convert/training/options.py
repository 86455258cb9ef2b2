"""Read options of augmentation and labels, under EQTransformer's names, from `name=value`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

LABEL_TYPES = ("gaussian", "triangle")
WIDTHS = (1.0, 200.0)
"""Narrowest and widest label, samples."""


@dataclass(frozen=True)
class AugmentOptions:
    """How often each change is made; where EQTransformer has one, under its name there."""

    shift_event_r: float = 0.9
    """P anywhere in the window; else near its middle."""
    late_p_r: float = 0.08
    """Of the events, P within the window's last 3 s: what an early warning sees first."""
    add_event_r: float = 0.2
    """A second event on top."""
    add_noise_r: float = 0.45
    """Noise of another record on top, to a drawn ratio."""
    add_gap_r: float = 0.04
    """Samples missing."""
    drop_channel_r: float = 0.04
    """One or two components dead."""
    scale_amplitude_r: float = 0.05
    """So small that the digitiser's steps show."""
    rotate_r: float = 0.6
    """Horizontals turned, or swapped."""
    stretch_r: float = 0.3
    """Another sampling rate taken for ours, 0.75 to 1.33 times."""
    sensor_r: float = 0.35
    """Another instrument's response."""
    glitch_r: float = 0.08
    """Spikes, half of them in the last 3 s."""
    gain_step_r: float = 0.02
    """Level or gain changes at once."""
    clip_r: float = 0.03
    """The strongest swings cut."""


@dataclass(frozen=True)
class SceneOptions:
    """What windows are made of: shares of all, synthetic noise is the rest."""

    event_share: float = 0.42
    """Real earthquakes."""
    continuous_share: float = 0.18
    """Any stretch of a continuous record; without such records they are noise."""
    noise_share: float = 0.27
    """Real noise."""
    synthetic_event_share: float = 0.08
    """Synthetic earthquakes."""
    labelled_share: float = 0.5
    """Of the real earthquakes: from labelled records, not from continuous ones."""
    hard_share: float = 0.12
    """Scenes without an earthquake that fooled a network; taken from all, where there are any."""


@dataclass(frozen=True)
class LabelOptions:
    """Shapes of the labels."""

    label_type: Literal["gaussian", "triangle"] = "gaussian"
    """EQTransformer's name for the shape of the bumps."""
    p_width_samples: float = 10.0
    """Standard deviation of a Gaussian, or half the base of a triangle, at P."""
    s_width_samples: float = 14.0
    """The same at S, which is picked less sharply."""


KINDS = ("event_share", "continuous_share", "noise_share", "synthetic_event_share")
"""Shares of all windows; synthetic noise is the rest."""

Options = TypeVar("Options", AugmentOptions, LabelOptions, SceneOptions)


def changed(options: Options, given: Sequence[str]) -> Options:
    """Return options with some of them as given.

    Args:
        options: The others' values.
        given: Each `name=value`.

    Raises:
        ValueError: An unknown name, or a value outside its range.
    """
    names = [field.name for field in fields(options)]
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name not in names or not equals:
            raise ValueError(f"{text!r} is not NAME=VALUE of {', '.join(names)}")
        values[name] = _value(name, value)
    made = replace(options, **values)
    if isinstance(made, SceneOptions):
        total = sum(getattr(made, name) for name in KINDS)
        if total > 1 + 1e-9:
            raise ValueError(f"{' + '.join(KINDS)} is {total:g}; use 1 or less")
    return made


def listed(options: AugmentOptions | LabelOptions | SceneOptions) -> str:
    """Names and values, for a help text."""
    return ", ".join(f"{f.name} ({getattr(options, f.name)})" for f in fields(options))


def _value(name: str, text: str) -> float | str:
    if name == "label_type":
        if text not in LABEL_TYPES:
            raise ValueError(f"{name} {text!r}; use {' or '.join(LABEL_TYPES)}")
        return text
    least, most = (0.0, 1.0) if name.endswith(("_r", "_share")) else WIDTHS
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise ValueError(f"{name} {text!r}; use {least:g} to {most:g}")
    return number
