"""Whether each stage of the node advances, and what is to be done when it does not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ..settings.node import HealthSettings


class State(IntEnum):
    """How long a stage has been silent, in steps; from ESCALATED on the watchdog starves."""

    HEALTHY = 0
    ALARMED = 1
    RECOVERING = 2
    ESCALATED = 3
    FAILED = 4


@dataclass(frozen=True)
class Progress:
    """When each stage last advanced, on the monotonic clock, seconds.

    Attributes:
        samples: The newest block came in.
        flowing_since: The first block after the last silence came in.
        inference: The newest window was scored.
        output: Every sink last proved that it is not stuck. A full disk or an absent broker is no
            such thing: they take, and keep.
    """

    samples: float
    flowing_since: float
    inference: float
    output: float


@dataclass(frozen=True)
class Liveness:
    """The state of each stage.

    Attributes:
        samples: Do samples come?
        inference: Are they scored?
        output: Do messages get out of the way?
        attempt: Which attempt to recover the source is due: 0 none, then counting.
    """

    samples: State
    inference: State
    output: State
    attempt: int

    @property
    def stages(self) -> dict[str, State]:
        """The state by the name of the stage."""
        return {"samples": self.samples, "inference": self.inference, "output": self.output}

    @property
    def worst(self) -> State:
        """The state of the stage that is worst."""
        return max(self.stages.values())

    @property
    def feeds_watchdog(self) -> bool:
        """Whether all advance, or at least are still being recovered."""
        return self.worst < State.ESCALATED


def liveness(now: float, progress: Progress, settings: HealthSettings) -> Liveness:
    """Judge the stages.

    Args:
        now: Monotonic clock, seconds.
        progress: When they last advanced, on the same clock.
        settings: How long each may be silent, and how long recovery may take.
    """
    samples = state_of(now - progress.samples, settings.samples_silence_seconds, settings)
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
    """Return the state of a stage that has been silent so long, seconds, and may be for `limit`."""
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


class Pulse:
    """Keeps `Progress` as the stages report."""

    def __init__(self, now: float, settings: HealthSettings) -> None:
        """Start as if all had just advanced: each has its full time to begin."""
        self._silence = settings.samples_silence_seconds
        self.progress = Progress(now, now, now, now)

    def sampled(self, now: float) -> None:
        """A block came in."""
        since = self.progress.flowing_since
        if now - self.progress.samples > self._silence:
            since = now
        self.progress = Progress(now, since, self.progress.inference, self.progress.output)

    def inferred(self, now: float) -> None:
        """A window was scored."""
        before = self.progress
        self.progress = Progress(before.samples, before.flowing_since, now, before.output)

    def put_out(self, now: float) -> None:
        """The sinks proved alive then: the earliest of the returns of `write` and their threads."""
        before = self.progress
        self.progress = Progress(before.samples, before.flowing_since, before.inference, now)
