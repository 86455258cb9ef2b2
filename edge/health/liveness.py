"""Judge whether each stage of the node advances, and what to do when it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from ..settings.health import HealthSettings


class State(IntEnum):
    """How long a stage has been silent, in steps; from ESCALATED on the watchdog gets no ping."""

    HEALTHY = 0
    ALARMED = 1
    RECOVERING = 2
    ESCALATED = 3
    FAILED = 4


@dataclass
class Progress:
    """When each stage last advanced, on the monotonic clock, seconds; updated as they report.

    Attributes:
        samples: The newest block arrived.
        flowing_since: The first block after the last silence arrived.
        inference: The newest window was scored.
        output: Every sink last proved that it is not stuck. A sink on a full disk or without a
            broker is not stuck: it accepts messages and keeps them.
        refused: The sensor last sent what the node leaves out, for a reason that it names.
    """

    samples: float
    flowing_since: float
    inference: float
    output: float
    refused: float = -math.inf

    @classmethod
    def starting(cls, now: float) -> Progress:
        """Return that of a start: each stage has its full time to begin."""
        return cls(now, now, now, now)

    def sampled(self, now: float, settings: HealthSettings) -> None:
        """Note that a block arrived."""
        if now - self.samples > settings.samples_silence_seconds:
            self.flowing_since = now
        self.samples = now


@dataclass(frozen=True)
class Liveness:
    """The state of each stage.

    Attributes:
        samples: Whether samples arrive.
        inference: Whether they are scored.
        output: Whether messages leave the node.
        attempt: Number of the attempt to reopen the source that is due; 0 where none is.
    """

    samples: State
    inference: State
    output: State
    attempt: int

    @property
    def stages(self) -> dict[str, State]:
        """The state of each stage, by its name."""
        return {"samples": self.samples, "inference": self.inference, "output": self.output}

    @property
    def worst(self) -> State:
        """The worst state of a stage."""
        return max(self.stages.values())

    @property
    def pings_watchdog(self) -> bool:
        """Whether all stages advance, or attempts to recover them go on."""
        return self.worst < State.ESCALATED


def liveness(now: float, progress: Progress, settings: HealthSettings) -> Liveness:
    """Judge the stages.

    Args:
        now: Monotonic clock, seconds.
        progress: When they last advanced, on the same clock.
        settings: How long each may be silent, and how long attempts to recover may take.
    """
    samples = state_of(now - progress.samples, settings.samples_silence_seconds, settings)
    if now - progress.refused <= settings.samples_silence_seconds:
        # The source works and the reason is published; a restart would end at the same Hello.
        samples = min(samples, State.RECOVERING)
    # Without samples there is nothing to score; after a silence the first window takes time again.
    idle = samples is not State.HEALTHY
    unscored = 0.0 if idle else now - max(progress.inference, progress.flowing_since)
    return Liveness(
        samples=samples,
        inference=state_of(unscored, settings.inference_silence_seconds, settings),
        output=state_of(now - progress.output, settings.output_silence_seconds, settings),
        attempt=_attempt(now - progress.samples, settings),
    )


def state_of(silence: float, limit: float, settings: HealthSettings) -> State:
    """Return the state of a stage.

    Args:
        silence: Time since it advanced, seconds.
        limit: How long it may be silent, seconds.
        settings: How long attempts to recover may take.
    """
    retries_end = limit + settings.retry_seconds * (1 + settings.retries)
    if silence <= limit:
        return State.HEALTHY
    if silence <= limit + settings.retry_seconds:
        return State.ALARMED
    if silence <= retries_end:
        return State.RECOVERING
    return State.ESCALATED if silence <= retries_end + settings.give_up_seconds else State.FAILED


def _attempt(silence: float, settings: HealthSettings) -> int:
    since_alarm = silence - settings.samples_silence_seconds
    if since_alarm <= 0:
        return 0
    return min(settings.retries, int(since_alarm / settings.retry_seconds))
