"""Find components that are dead, railed, or far weaker or stronger than the others."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..firmware_bridge.measured import Limit, counter, gauge, state_reason
from .logs import Changes
from .types import Block

COMPONENTS = "ENZ"
JUDGED_SECONDS = 30
"""Stretch of data by which a component is judged; a fault is over after as long without it."""
DEAD_SECONDS = 10
"""A component is dead after this long without a change, if another one moves meanwhile."""
MOVING_COUNTS = 64
"""Peak to peak, from which another component does; less may be noise below one count of both."""
EVERY_SECONDS = 5
"""How often the components are judged."""
RATIO = 30.0
"""Ratio of amplitudes from which one component is far from the others. In the records of many
networks, strong earthquakes, boreholes and the sea floor included, sound ones stay below 20."""
LEAST_COUNTS = 0.5
"""Amplitudes below this are rounding: a sensor on quiet ground is not compared more finely."""
RAIL_SHARE = 0.999
"""Of the converter's range: beyond it a sample is at the limit."""
RAILS = frozenset(
    float(np.float32(sign * 2 ** (bits - 1) - (sign > 0)))
    for bits in (16, 18, 20, 22, 24, 32)
    for sign in (1, -1)
)
"""Limits of usual converters: at one of them a component stands also where the Hello announces more
bits than the converter has, or a record none."""
RAILED_SHARE = 0.1
"""Of a second's samples: with more at a limit, the component is clipped in this second."""
FLAT_STEPS = 250
"""Peak to peak, in steps of the digitiser, from which samples that repeat the extreme value show a
limit below its range; in coarse records of quiet ground they show nothing."""

KINDS = {
    "dead": "it does not move: a broken wire or a channel without a sensor",
    "railed": "it is at its limit: too much gain, an offset, or a stuck mass",
    "far weaker": "its amplitude is less than 1/30 of the others': a broken wire or a wrong gain",
    "far stronger": "its amplitude is over 30 times the others': noise, or a wrong gain",
}
"""What may be wrong with a component, with what it may come from."""

logger = logging.getLogger(__name__)

Faults = tuple[str, str, str]
"""A key of `KINDS` for E, N and Z each; empty for one that is well, or that the sensor lacks."""


@dataclass(frozen=True)
class Seconds:
    """What is kept of whole seconds of samples; all of (3, n).

    Attributes:
        least: Smallest sample.
        most: Largest sample.
        amplitude: Root mean square of the steps from sample to sample, in which the slow swell of
            the sea and of a tilt hardly count.
        step: Smallest step from sample to sample that is not zero; infinite without any.
        at_least: Share of samples that are the smallest one.
        at_most: Share of samples that are the largest one.
        at_limit: Share of samples at a limit of the converter, where that is known.
    """

    least: NDArray[np.float64]
    most: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    step: NDArray[np.float64]
    at_least: NDArray[np.float64]
    at_most: NDArray[np.float64]
    at_limit: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        samples: NDArray[np.float32],
        length: int,
        full_scale: float,
        after_gap: Iterable[int] = (),
    ) -> Seconds:
        """Summarise whole seconds.

        Args:
            samples: (n * length, 3) counts.
            length: Samples of a second.
            full_scale: Largest count of the converter; 0 where it is not known.
            after_gap: Samples that begin a segment: the step to them is none of the ground.
        """
        # each component's seconds lie one after the other in memory: sums along it are quick
        x = np.ascontiguousarray(samples.T, dtype=np.float64).reshape(3, -1, length)
        steps = np.abs(np.diff(x, axis=2))
        for second, sample in (divmod(at, length) for at in after_gap):
            if sample:
                steps[:, second, sample - 1] = 0.0
        least, most = x.min(axis=2), x.max(axis=2)
        amplitude = np.sqrt(np.einsum("ijk,ijk->ij", steps, steps) / max(1, length - 1))
        np.putmask(steps, steps == 0, np.inf)
        at_limit = np.zeros_like(least)
        limit = RAIL_SHARE * full_scale
        if full_scale and max(float(most.max()), -float(least.min())) >= limit:
            at_limit = _share(np.abs(x) >= limit)
        return cls(
            least,
            most,
            amplitude,
            steps.min(axis=2, initial=np.inf),
            _share(x == least[:, :, None]),
            _share(x == most[:, :, None]),
            at_limit,
        )

    def then(self, later: Seconds) -> Seconds:
        """Return these followed by others, the newest `JUDGED_SECONDS` of them."""
        pairs = zip(vars(self).values(), vars(later).values(), strict=True)
        return Seconds(*(np.concatenate(pair, axis=1)[:, -JUDGED_SECONDS:] for pair in pairs))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.least[0])


def faults_of(seconds: Seconds, absent: str = "") -> Faults:
    """Judge the components by the newest seconds of data.

    An earthquake of any strength does not make a fault: most of half a minute must be bad. Noise
    below one count, as of an accelerometer on quiet ground, does not either.

    Args:
        seconds: At most `JUDGED_SECONDS`; with fewer, only dead components are found.
        absent: Letters of components that the sensor does not have.
    """
    faults = ["", "", ""]
    present = [index for index, one in enumerate(COMPONENTS) if one not in absent]
    short = _range(seconds, DEAD_SECONDS)
    whole = len(seconds) >= JUDGED_SECONDS
    long = _range(seconds, JUDGED_SECONDS)
    for one in present:
        others = [short[other] for other in present if other != one]
        is_moving = len(seconds) >= DEAD_SECONDS and max(others, default=0) >= MOVING_COUNTS
        if short[one] == 0:
            if is_moving or (whole and long[one] == 0):
                at_limit = bool(seconds.at_limit[one, -DEAD_SECONDS:].min() == 1)
                is_railed = at_limit or float(seconds.most[one, -1]) in RAILS
                faults[one] = "railed" if is_railed else "dead"
        elif whole and _is_clipped(seconds, one, float(long[one]), present):
            faults[one] = "railed"
    sound = [one for one in present if not faults[one]]
    if whole and len(sound) > 1:
        amplitude = np.maximum(np.median(seconds.amplitude, axis=1), LEAST_COUNTS)
        ranked = sorted(sound, key=lambda one: float(amplitude[one]))
        if amplitude[ranked[1]] > RATIO * amplitude[ranked[0]]:
            faults[ranked[0]] = "far weaker"
        if len(ranked) > 2 and amplitude[ranked[2]] > RATIO * amplitude[ranked[1]]:
            faults[ranked[2]] = "far stronger"
    return faults[0], faults[1], faults[2]


def _share(which: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(np.count_nonzero(which, axis=2) / which.shape[2])


def _mostly(which: NDArray[np.bool_]) -> bool:
    return 2 * int(np.count_nonzero(which)) > len(which)


def _range(seconds: Seconds, newest: int) -> NDArray[np.float64]:
    top = seconds.most[:, -newest:].max(axis=1)
    return np.asarray(top - seconds.least[:, -newest:].min(axis=1))


def _is_clipped(seconds: Seconds, one: int, peak_to_peak: float, present: list[int]) -> bool:
    """Whether in most of the seconds many samples are at a limit, known or seen.

    The digitiser's step is the smallest of any component: one that only jumps between two limits
    shows none of its own.
    """
    if _mostly(seconds.at_limit[one] >= RAILED_SHARE):
        return True
    if peak_to_peak < FLAT_STEPS * seconds.step[present].min():
        return False
    top, bottom = seconds.most[one], seconds.least[one]
    flat = np.where(top == top.max(), seconds.at_most[one], 0.0)
    flat += np.where(bottom == bottom.min(), seconds.at_least[one], 0.0)
    flat[top == bottom] = 0.0  # a record that was padded is not clipped
    return _mostly(flat >= RAILED_SHARE)


def text_of(faults: Faults) -> str:
    """Return the faults as an event's message has them: `E, N dead; Z railed`."""
    parts = []
    for kind in KINDS:
        names = [name for name, fault in zip(COMPONENTS, faults, strict=True) if fault == kind]
        if names:
            parts.append(f"{', '.join(names)} {kind}")
    return "; ".join(parts)


@dataclass
class ComponentCounts:
    """What is wrong with components.

    Attributes:
        text: What is wrong now; empty for nothing.
    """

    faulty: int = gauge(
        "components_faulty",
        "Components that are dead, railed, or far weaker or stronger than the others.",
        default=0,
        degrades=Limit(above=0),
    )
    faults: int = counter("component_faults_total", "Times that a component was found so.")
    text: str = state_reason()


class ComponentCheck:
    """Follows the stream and marks its blocks; the marks depend on the samples alone.

    A fault stays until the component was without one for `JUDGED_SECONDS` of data, so that the
    windows with bad samples in them are marked. A gap ends neither a fault nor the seconds by which
    it is judged; another sensor or rate does.

    Attributes:
        counts: For the health record.
    """

    def __init__(self) -> None:
        self.counts = ComponentCounts()
        self._changes = {one: Changes(logger) for one in COMPONENTS}
        self._faults: Faults = ("", "", "")
        self._text = ""
        self._well_seconds = [0, 0, 0]
        self._kind: tuple[float, float, str] = (0.0, 0.0, "")
        self._segment = 0
        self._seconds: Seconds | None = None
        self._waiting: list[NDArray[np.float32]] = []
        self._samples = 0
        self._after_gap: list[int] = []

    def push(self, contiguous: Iterator[Block]) -> Iterator[Block]:
        """Take blocks, contiguous within their segment; yield them with what is wrong."""
        for block in contiguous:
            self._take(block)
            if self._text:
                text = "; ".join(one for one in (block.degraded, self._text) if one)
                block = replace(block, degraded=text)
            yield block

    def _take(self, block: Block) -> None:
        kind = (block.rate_hz, block.full_scale, block.absent)
        length = max(1, round(block.rate_hz))
        if kind != self._kind:
            self._change(("", "", ""))
            self._kind, self._seconds = kind, None
            self._waiting, self._samples, self._after_gap = [], 0, []
        elif block.segment != self._segment:
            # samples before it stay: gaps may be nearer to each other than a second
            self._after_gap.append(self._samples)
        self._segment = block.segment
        self._waiting.append(block.samples)
        self._samples += len(block.samples)
        while self._samples >= EVERY_SECONDS * length:
            self._judge_next(length, block)

    def _judge_next(self, length: int, block: Block) -> None:
        """Judge after the next seconds of those samples that wait."""
        samples = np.concatenate(self._waiting)
        taken = EVERY_SECONDS * length
        self._waiting, self._samples = [samples[taken:]], len(samples) - taken
        gaps = [at for at in self._after_gap if at < taken]
        self._after_gap = [at - taken for at in self._after_gap if at >= taken]
        new = Seconds.of(samples[:taken], length, block.full_scale, gaps)
        self._seconds = new if self._seconds is None else self._seconds.then(new)
        self._judge(faults_of(self._seconds, block.absent))

    def _judge(self, found: Faults) -> None:
        held = []
        for one, (now, before) in enumerate(zip(found, self._faults, strict=True)):
            self._well_seconds[one] = 0 if now else self._well_seconds[one] + EVERY_SECONDS
            is_over = self._well_seconds[one] >= JUDGED_SECONDS
            held.append(now or ("" if is_over else before))
        self._change((held[0], held[1], held[2]))

    def _change(self, faults: Faults) -> None:
        if faults == self._faults:
            return
        for name, before, now in zip(COMPONENTS, self._faults, faults, strict=True):
            self.counts.faults += bool(now and not before)
            if now != before:
                level = logging.WARNING if now else logging.INFO
                text = f"{now}: {KINDS[now]}" if now else "well again"
                self._changes[name].note(level, f"component {name} is {text}")
        self._faults, self._text = faults, text_of(faults)
        self.counts.faulty = sum(map(bool, faults))
        self.counts.text = f"components: {self._text}" if self._text else ""
