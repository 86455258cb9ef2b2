"""Judge by what was counted and measured whether a node whose stages advance is degraded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ...firmware_bridge.measured import Limit, Measured, reasons
from .metrics import Metric

MOST_REASONS = 12
"""In one record."""


class Degradation:
    """Follows the metrics from one health record to the next.

    A counter degrades the node for a while after it has grown, a gauge while it is beyond its
    limit: `degrades` of the metric's description has both. So the state returns to healthy by
    itself once its cause is over.

    Args:
        lasting_seconds: How long growth is remembered, and how long a gauge must have been beyond a
            limit that lasts.
    """

    def __init__(self, lasting_seconds: float) -> None:
        self._lasting_seconds = lasting_seconds
        self._before: dict[str, float] = {}
        self._growth: dict[str, deque[tuple[float, float]]] = {}
        self._beyond_since: dict[str, float] = {}

    def judge(self, now: float, metrics: Iterable[Metric], counts: Iterable[object]) -> list[str]:
        """Return why the node is degraded, a line each; none where it is not.

        Args:
            now: Monotonic clock, seconds; not before that of the last call.
            metrics: As they are now.
            counts: Dataclasses that may have a reason of their own, see `measured.state_reason`.
        """
        found = [line for one in counts for line in reasons(one)]
        for metric in metrics:
            degrades, value = metric.description.degrades, metric.value
            if degrades is None or value is None:
                continue
            if isinstance(degrades, Limit):
                if self._is_beyond(now, metric.name, degrades.is_passed(value), degrades.lasts):
                    found.append(f"{metric.name} is {value:g}")
            else:
                growth = self._growth_of(now, metric.name, value)
                if growth >= degrades:
                    found.append(f"{metric.name} has grown by {growth:.15g}")
        return found[:MOST_REASONS]

    def _is_beyond(self, now: float, name: str, is_passed: bool, lasts: bool) -> bool:
        if not is_passed:
            self._beyond_since.pop(name, None)
            return False
        since = self._beyond_since.setdefault(name, now)
        return not lasts or now - since >= self._lasting_seconds

    def _growth_of(self, now: float, name: str, value: float) -> float:
        """Return by how much a counter grew within the time that is remembered, up to now."""
        grown = self._growth.setdefault(name, deque())
        while grown and now - grown[0][0] >= self._lasting_seconds:
            grown.popleft()
        step = value - self._before.get(name, 0)
        self._before[name] = value
        if step > 0:
            grown.append((now, step))
        return sum(step for _, step in grown)


def effect(description: Measured) -> str:
    """Return the effect of a metric on the state, for its table."""
    degrades = description.degrades
    if degrades is None:
        return "none"
    if not isinstance(degrades, Limit):
        return f"degraded: + {degrades}"
    bound = f"above {degrades.above:g}" if degrades.above is not None else ""
    bound = bound or f"below {degrades.below:g}"
    return f"degraded: {bound}" + (", lasting" if degrades.lasts else "")
