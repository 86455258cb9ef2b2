"""Describe a network's input and output for a node, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .. import EqedgeError

HEADS = ("detection", "P", "S")
"""The network's outputs, in the order of the last axis of every probability array."""

RATE_HZ = 100.0
"""Samples a second of the networks that this package trains and converts."""
WINDOW_SAMPLES = 6000
"""Length of their window, a minute."""
LONGEST_WINDOW = 1_000_000
"""Samples of the longest window that a card may have."""

Detrend = Literal["constant", "linear"]
Norm = Literal["std", "peak"]


class SpecError(EqedgeError):
    """A model's description is incomplete, or needs what this version does not have."""


def _number(value: object) -> float:
    """Return a finite number unchanged, anything else as NaN, which is in no range."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else math.nan  # type: ignore[arg-type]


def _require(holds: bool, name: str, owner: object, wanted: str) -> None:
    if not holds:
        value = repr(getattr(owner, name))[:60]
        raise SpecError(f"model card: {name} {value}, expected {wanted}; convert again")


@dataclass(frozen=True)
class BandPass:
    """A Butterworth band-pass, in obspy's argument names.

    Attributes:
        freqmin: Lower corner, Hz.
        freqmax: Upper corner, Hz.
        corners: Filter order.
        zerophase: Forward and backward, so that no phase is shifted. The only kind supported.
    """

    freqmin: float
    freqmax: float
    corners: int = 2
    zerophase: bool = True

    def __post_init__(self) -> None:
        """Reject corners between which nothing passes."""
        low = _number(self.freqmin)
        _require(low > 0.0, "freqmin", self, "positive, finite")
        _require(_number(self.freqmax) > low, "freqmax", self, f"above freqmin {low:g} Hz")
        whole = isinstance(self.corners, int) and self.corners >= 1
        _require(whole, "corners", self, "a whole number from 1 on")


@dataclass(frozen=True)
class Preparation:
    """Processing of a window of counts before the network.

    Attributes:
        detrend: `constant` subtracts the mean, `linear` a straight line.
        filter: Band-pass after that, or None.
        norm: Each component is divided by its standard deviation or by its peak.
    """

    detrend: Detrend = "constant"
    filter: BandPass | None = None
    norm: Norm = "std"

    def __post_init__(self) -> None:
        """Reject unsupported values."""
        if self.detrend not in ("constant", "linear"):
            raise SpecError(f"preparation: detrend {self.detrend!r}; use 'constant' or 'linear'")
        if self.norm not in ("std", "peak"):
            raise SpecError(f"preparation: norm {self.norm!r}; use 'std' or 'peak'")
        if self.filter is not None and not self.filter.zerophase:
            raise SpecError("preparation: only zero-phase filters are supported; set zerophase")


@dataclass(frozen=True)
class Thresholds:
    """Conditions for a pick: one preset of a model.

    Attributes:
        detection_threshold: Probability, as SeisBench names it.
        P_threshold: Probability of a P pick.
        S_threshold: Probability of an S pick.
        min_duration_seconds: Detection must last this long around a pick.
        confirm_windows: Windows that must contain a pick before it is announced.
        confirm_seconds: Signal that must have come after a pick, at any hop.
    """

    detection_threshold: float = 0.5
    P_threshold: float = 0.3
    S_threshold: float = 0.3
    min_duration_seconds: float = 0.5
    confirm_windows: int = 2
    confirm_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Reject values out of range."""
        for name in ("detection_threshold", "P_threshold", "S_threshold"):
            _require(0.0 < _number(getattr(self, name)) <= 1.0, name, self, "above 0 and up to 1")
        for name in ("min_duration_seconds", "confirm_seconds"):
            _require(_number(getattr(self, name)) >= 0.0, name, self, "0 or more, finite")
        whole = isinstance(self.confirm_windows, int) and self.confirm_windows >= 1
        _require(whole, "confirm_windows", self, "a whole number from 1 on")

    @property
    def by_head(self) -> dict[str, float]:
        """Probabilities from which each head counts, in the order of `HEADS`."""
        return {
            "detection": self.detection_threshold,
            "P": self.P_threshold,
            "S": self.S_threshold,
        }


PRESETS: Mapping[str, Thresholds] = {
    "default": Thresholds(),
    "early-warning": Thresholds(
        detection_threshold=0.3,
        P_threshold=0.2,
        min_duration_seconds=0.25,
        confirm_windows=1,
        confirm_seconds=0.0,
    ),
    "catalogue": Thresholds(P_threshold=0.4, S_threshold=0.3, confirm_seconds=3.0),
}
"""Presets of a card, unless a model's scores lead to others: `early-warning` announces at once,
`catalogue` waits for confirmation; `docs/stream.md` has the trade-offs."""


@dataclass(frozen=True)
class ModelSpec:
    """Input, preparation and presets of one network.

    Attributes:
        name: The model's own name, e.g. `leqnet_gru`.
        architecture: One of `models.architectures.ARCHITECTURES`.
        sampling_rate_hz: Rate of the input.
        window_samples: Length of the input.
        component_order: Order of the input's last axis.
        preparation: From counts to the input.
        thresholds: Named sets; `default` is always there.
    """

    name: str
    architecture: str
    sampling_rate_hz: float = RATE_HZ
    window_samples: int = WINDOW_SAMPLES
    component_order: str = "ENZ"
    preparation: Preparation = field(default_factory=Preparation)
    thresholds: Mapping[str, Thresholds] = field(default_factory=lambda: dict(PRESETS))

    def __post_init__(self) -> None:
        """Reject values from which no window can be made."""
        _require(_number(self.sampling_rate_hz) > 0.0, "sampling_rate_hz", self, "positive, finite")
        samples = self.window_samples
        whole = isinstance(samples, int) and 0 < samples <= LONGEST_WINDOW
        _require(whole, "window_samples", self, f"a whole number from 1 to {LONGEST_WINDOW}")
        order = self.component_order
        ordered = isinstance(order, str) and sorted(order) == ["E", "N", "Z"]
        _require(ordered, "component_order", self, "some order of ENZ")
        band = self.preparation.filter
        if band is not None:
            nyquist = self.sampling_rate_hz / 2
            _require(band.freqmax < nyquist, "freqmax", band, f"below {nyquist:g} Hz")

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        plain = asdict(self)
        plain["thresholds"] = {name: asdict(t) for name, t in self.thresholds.items()}
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> ModelSpec:
        """Read a card's `spec`.

        Raises:
            SpecError: A field is missing, unknown or out of range.
        """
        try:
            values = dict(plain)
            preparation = dict(values.pop("preparation"))
            band = preparation.pop("filter")
            thresholds = {k: Thresholds(**v) for k, v in values.pop("thresholds").items()}
            spec = cls(
                preparation=Preparation(
                    filter=None if band is None else BandPass(**band), **preparation
                ),
                thresholds=thresholds,
                **values,
            )
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise SpecError(f"model card: spec is not readable ({error}); convert again") from error
        if "default" not in thresholds:
            raise SpecError("model card: thresholds lack 'default'; convert again")
        return spec
