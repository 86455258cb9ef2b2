"""What came of a soak: earthquakes played, messages in the file and at the broker, memory, lag."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from .sensor import RATE

WARM_SECONDS = 75
"""Undisturbed before P: a window must fill first."""
AFTER_SECONDS = 45
"""Undisturbed after S: the event must have been told."""
NEAR_SECONDS = 150
"""Of data, by which a player may be late; the earthquake before is 190 s away at least."""


@dataclass
class Quake:
    """One earthquake that was played: samples of P and S, and when P was, by the node's clock.

    There are several such times: the player can be late itself, and the node learns the later time
    or not; a node on a busy machine reads late, and dates by that; and the clock may be set while
    the event goes on.
    """

    p: int
    s: int
    times_ns: list[int] = field(default_factory=list)
    is_read: bool = False

    def begin(self, planned_ns: int, sent_ns: int) -> None:
        """Note when its P was sent; a node that has not learnt of a delay goes by the plan."""
        near = sent_ns - planned_ns < NEAR_SECONDS * 1e9
        self.times_ns += [planned_ns, (planned_ns + sent_ns) // 2, sent_ns] if near else [sent_ns]

    def wait(self, now_ns: int, unread_bytes: int) -> None:
        """Note that it may be dated as late as now, until the node has read what was sent."""
        self.times_ns.append(now_ns)
        self.is_read = unread_bytes == 0

    def is_at(self, time_ns: int) -> bool:
        """Whether an event that begins then is this one; the next P is 190 s away at least."""
        return any(-30e9 < time_ns - own < 60e9 for own in self.times_ns)

    def is_disturbed(self, broken: np.ndarray) -> bool:
        """Whether the stream broke at one of these samples too near to it, or it came too early."""
        first, last = self.p - WARM_SECONDS * RATE, self.s + AFTER_SECONDS * RATE
        return first < 0 or bool(np.any((broken >= first) & (broken <= last)))

    def is_among(self, starts_ns: Iterable[int]) -> bool:
        """Whether one of these events is this one."""
        return any(self.is_at(start) for start in starts_ns)


@dataclass
class Account:
    """What came of it; `lost` and `missed` must be 0."""

    hours: float
    seed: int
    disk: str = ""
    faults: dict[str, int] = field(default_factory=dict)
    played: int = 0
    expected: int = 0
    """Earthquakes played while nothing but single frames was disturbed."""
    expected_in_file: int = 0
    """Of these, with an event in the file."""
    expected_at_broker: int = 0
    missed: int = 0
    """Of these, with an event in neither."""
    lines: int = 0
    events: int = 0
    at_broker: int = 0
    duplicates_in_file: int = 0
    duplicates_at_broker: int = 0
    lost: int = 0
    """Messages in the file that the broker never got."""
    only_at_broker: int = 0
    """Told, and killed before the disk took them."""
    never_ended: int = 0
    """Events without `end`; a kill may leave one."""
    left_in_spool: int = 0
    frames: int = 0
    frames_damaged: int = 0
    starts: int = 0
    starts_without_sensor: int = 0
    """Started again while the sensor was unplugged: exit code 2, and again."""
    exits_of_its_own: int = 0
    windows_skipped: int = 0
    lag_seconds: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Quantiles 0.5, 0.95 and 0.99 of the worst lag of each second of the clock on the wall."""
    peak_rss_mb: float = 0.0
    rss_slope_kb_per_hour: float = 0.0
    """Of data, over the last stretch without a restart."""
    disk_kb: int = 0
    wall_seconds: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether something was lost, or the node gave up."""
        return bool(self.lost or self.missed or self.left_in_spool or self.exits_of_its_own)

    def count_messages(self, lines: list[dict], arrived: list[dict]) -> None:
        """Compare what is in the file with what the broker got."""
        keys, got = {key(m) for m in lines}, {key(m) for m in arrived}
        self.lines, self.at_broker = len(lines), len(arrived)
        self.duplicates_in_file = len(lines) - len(keys)
        self.duplicates_at_broker = len(arrived) - len(got)
        self.lost, self.only_at_broker = len(keys - got), len(got - keys)
        self.events = len({m["event_id"] for m in lines})
        self.never_ended = self.events - sum(m["type"] == "end" for m in lines)

    def count_quakes(
        self, quakes: list[Quake], disturbed: list[int], lines: list[dict], arrived: list[dict]
    ) -> None:
        """Look for each undisturbed earthquake in the file and at the broker."""
        broken = np.array(disturbed)
        in_file, at_broker = ({m["start_time_ns"] for m in told} for told in (lines, arrived))
        self.played = len(quakes)
        for quake in quakes:
            if not quake.is_disturbed(broken):
                self.expected += 1
                self.expected_in_file += quake.is_among(in_file)
                self.expected_at_broker += quake.is_among(at_broker)
                self.missed += not quake.is_among(in_file | at_broker)

    def measure(self, records: list[dict]) -> None:
        """Take lag, memory and windows left out from the health records."""
        if not records:
            return
        lags = [r["lag_seconds"] for r in records if r["lag_seconds"] is not None]
        quantiles = np.quantile(lags, [0.5, 0.95, 0.99]) if lags else np.zeros(3)
        self.lag_seconds = tuple(round(float(q), 4) for q in quantiles)
        last = [r for r in records if r["boot_id"] == records[-1]["boot_id"]]
        by_boot = {r["boot_id"]: r["windows_skipped_total"] for r in records}
        self.windows_skipped = sum(by_boot.values())
        settled = last[len(last) // 4 :]
        if len(settled) >= 3:
            hours = [r["samples_total"] / RATE / 3600 for r in settled]
            memory = [r["resident_memory_bytes"] / 1024 for r in settled]
            self.rss_slope_kb_per_hour = round(float(np.polyfit(hours, memory, 1)[0]), 1)


def key(message: dict) -> tuple[str, int]:
    """What a receiver tells messages apart by."""
    return message["event_id"], message["sequence"]
