"""Find out why connections to the broker end, and what follows for the next one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .abilities import Abilities
from .in_flight import Sent
from .reasons import (
    AT_A_MESSAGE,
    IDLE_ENDED,
    REFUSED_UNEXPLAINED,
    TAKEN_OVER,
    Identity,
    LinkLost,
    remedy,
    unexplained,
)
from .suspects import Suspects

STABLE_SECONDS = 10.0
"""A connection that lasted this long starts the back-off anew; a shorter one prolongs it."""
CALM_SECONDS = 600.0
"""A connection that lasted this long shows that the trouble with earlier ones is over."""
TAKEOVER_SECONDS = 3600.0
"""Another client with our client id is reported this long after it last took a connection over."""
TAKEOVER_STEPS = 4
"""Steps of the back-off that a takeover begins with: two nodes must not disconnect each other at
full speed, whose connections both count as stable."""
UNEXPLAINED_TIMES = 2
"""So many connections in a row, closed without a reason, are worth a guess at the cause."""
PROGRESS_STEPS = 2
"""Longest back-off, in steps, after a connection that delivered something."""


@dataclass(frozen=True)
class Ending:
    """How one connection ended.

    Attributes:
        lost: Why, as far as the connection shows.
        lasted: Seconds since the attempt to connect.
        accepted: The broker had accepted it.
        served: Messages were sent over it.
        delivered: Messages of the spool that left it over this connection.
        answers: Answers of the broker to messages.
        unanswered: Messages that were sent and not answered.
    """

    lost: LinkLost
    lasted: float
    accepted: bool = False
    served: bool = False
    delivered: int = 0
    answers: int = 0
    unanswered: tuple[Sent, ...] = ()


class Endings:
    """What the ends of the connections so far show.

    Args:
        who: The node.
        abilities: What is known of the broker; updated here.
        suspects: Messages at which connections ended; updated here.

    Attributes:
        steps: How many steps the back-off has taken.
    """

    def __init__(self, who: Identity, abilities: Abilities, suspects: Suspects) -> None:
        self.steps = 0
        self._who = who
        self._abilities = abilities
        self._suspects = suspects
        self._taken_over_time = float("-inf")
        self._unexplained = 0
        self._useless = 0
        self._short = 0

    @property
    def are_unexplained(self) -> bool:
        """Whether several in a row came without a reason."""
        return self._unexplained >= UNEXPLAINED_TIMES

    @property
    def are_frequent(self) -> bool:
        """Whether several accepted connections in a row did not last, for whatever reason."""
        return self._short >= UNEXPLAINED_TIMES

    @property
    def are_useless(self) -> bool:
        """Whether several short connections in a row delivered nothing."""
        return self._useless >= UNEXPLAINED_TIMES

    @property
    def is_taken_over(self) -> bool:
        """Whether another client has, or had a short time ago, our client id."""
        return time.monotonic() - self._taken_over_time < TAKEOVER_SECONDS

    def note(self, ending: Ending) -> Sent | None:
        """Learn from one more; return the message that is left out from now, None without any."""
        held: Sent | None = None
        if ending.accepted:
            self._short = self._short + 1 if ending.lasted < CALM_SECONDS else 1
        if ending.delivered:
            self._abilities.acknowledged()
        if not self._abilities.refused(ending.lost.code):
            held = self._learn(ending)
        self.steps = self._next_steps(ending)
        return held

    def is_takeover(self, ending: Ending) -> bool:
        """Return whether another client with our client id was the reason, certainly or probably.

        Many brokers give no reason: connections end again and again while all is answered.
        """
        is_idle = ending.served and not ending.delivered and not ending.unanswered
        is_probable = ending.lost.is_silent and is_idle and self.are_unexplained
        return ending.lost.code == TAKEN_OVER or is_probable

    def explain(self, ending: Ending) -> str:
        """Return why it ended, and the remedy or likely cause where one is known."""
        if ending.lost.is_silent:
            if not ending.accepted:
                return REFUSED_UNEXPLAINED
            if self.is_takeover(ending):
                return f"{IDLE_ENDED}; probably {remedy(TAKEN_OVER, self._who)}"
            if self.are_unexplained:
                return unexplained(self._who)
        lost = ending.lost
        advice = remedy(lost.code, self._who, lost.server)
        return f"{lost}; {advice}" if advice else str(lost)

    def _learn(self, ending: Ending) -> Sent | None:
        if ending.lost.is_silent and not ending.accepted:
            self._abilities.closed_unanswered()
        if ending.lost.is_silent and ending.accepted:
            self._unexplained = self._unexplained + 1 if ending.lasted < CALM_SECONDS else 1
        else:
            self._unexplained = 0
        if self.is_takeover(ending):
            self._taken_over_time = time.monotonic()
        if not ending.served:
            return None
        is_useless = (
            ending.lost.by_broker and not ending.delivered and ending.lasted <= STABLE_SECONDS
        )
        self._useless = self._useless + 1 if is_useless else 0
        return self._suspects.connection_ended(_suspicious(ending))

    def _next_steps(self, ending: Ending) -> int:
        if self.is_takeover(ending):
            return max(self.steps + 1, TAKEOVER_STEPS)
        if ending.lasted > STABLE_SECONDS and not self.are_unexplained:
            return 0
        return min(self.steps + 1, PROGRESS_STEPS) if ending.delivered else self.steps + 1


def _suspicious(ending: Ending) -> tuple[Sent, ...]:
    """Return the messages at one of which the broker may have ended the connection."""
    lost = ending.lost
    if lost.is_stuck:
        # Brokers answer in order: one that answered others may hang at the oldest.
        return ending.unanswered[:1] if ending.answers else ()
    return ending.unanswered if lost.by_broker and lost.code in AT_A_MESSAGE else ()
