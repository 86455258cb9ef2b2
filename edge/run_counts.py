"""What one run has counted so far, and who observes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ..firmware_bridge.measured import counter
from .components import ComponentCounts
from .gaps import StreamCounts
from .pace import ShedderCounts
from .sources import SourceCounts
from .types import Block, Probabilities


@dataclass
class RunCounts:
    """What one run has counted so far."""

    source: SourceCounts = field(default_factory=SourceCounts)
    stream: StreamCounts = field(default_factory=StreamCounts)
    components: ComponentCounts = field(default_factory=ComponentCounts)
    shedder: ShedderCounts = field(default_factory=ShedderCounts)
    windows_scored: int = counter("windows_total", "Windows scored.")
    inference_seconds: float = counter(
        "inference_seconds_total", "Time spent on scoring windows.", digits=3
    )
    events: int = counter("events_total", "Events begun.")
    messages: int = counter("messages_total", "Messages given to the outputs.")
    wall_seconds: float = counter("run_seconds_total", "Time since the stream began.", digits=3)


class Observer(Protocol):
    """Follows a run, and may end it by an error."""

    def sampled(self, block: Block) -> None:
        """Samples came."""

    def inferred(self, probabilities: Probabilities, lag_seconds: float) -> None:
        """A window was scored, `lag_seconds` after its samples came."""

    def tick(self, counts: RunCounts) -> None:
        """The chain is about to wait for samples: at least twice a second while all is well."""


class Observers:
    """Several observers as one; none at all is allowed."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def sampled(self, block: Block) -> None:
        """Call every observer's."""
        for observer in self._observers:
            observer.sampled(block)

    def inferred(self, probabilities: Probabilities, lag_seconds: float) -> None:
        """Call every observer's."""
        for observer in self._observers:
            observer.inferred(probabilities, lag_seconds)

    def tick(self, counts: RunCounts) -> None:
        """Call every observer's."""
        for observer in self._observers:
            observer.tick(counts)
