"""What one run did so far, and who is told while it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ..firmware_bridge.decoder import Losses
from .gaps import StreamCounts
from .health.sensor import SensorHealth
from .types import Block, Probabilities


@dataclass
class Account:
    """What one run did so far."""

    losses: Losses = field(default_factory=Losses)
    stream: StreamCounts = field(default_factory=StreamCounts)
    sensor: SensorHealth = field(default_factory=SensorHealth)
    packets_unannounced: int = 0
    windows_scored: int = 0
    windows_skipped: int = 0
    hop_factor: int = 1
    events: int = 0
    messages: int = 0
    inference_seconds: float = 0.0
    wall_seconds: float = 0.0


class Watch(Protocol):
    """Is told how the run goes, and may end it by an error."""

    def sampled(self, block: Block) -> None:
        """Samples came."""

    def inferred(self, probabilities: Probabilities, lag_seconds: float) -> None:
        """A window was scored, so long after its samples came."""

    def tick(self, account: Account) -> None:
        """The chain is about to wait for bytes; comes twice a second at least, if all is well."""


class Watches:
    """Passes what it is told on, to all of several or to nobody."""

    def __init__(self, *watches: Watch) -> None:
        self._watches = watches

    def sampled(self, block: Block) -> None:
        """Pass it on."""
        for watch in self._watches:
            watch.sampled(block)

    def inferred(self, probabilities: Probabilities, lag_seconds: float) -> None:
        """Pass it on."""
        for watch in self._watches:
            watch.inferred(probabilities, lag_seconds)

    def tick(self, account: Account) -> None:
        """Pass it on."""
        for watch in self._watches:
            watch.tick(account)
