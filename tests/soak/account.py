"""What came of a soak: earthquakes played, messages in the file and at the broker, memory, lag."""

from __future__ import annotations

from bisect import bisect, bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
from eqedge.edge.replay.labels import TOLERANCE_SECONDS

from .sensor import KILL, LAG_SECONDS, RATE, Break

BEFORE_SECONDS = 5
"""Unbroken before P: after a break the chain alone picks an earthquake from here on."""
REPORTED_SECONDS = 5
"""Unbroken after S: by then the chain alone has both picks in a message; `quakes.py` checks it."""
WINDOW_SECONDS = 60
"""A node scores a new segment when it has filled a window."""
LAG = round(LAG_SECONDS * RATE)
"""Samples that a node may have received and not analysed."""
EARLIEST_SECONDS = WINDOW_SECONDS + LAG_SECONDS
"""A segment that begins longer before P has filled a window at P, whatever began it."""


@dataclass
class Quake:
    """One earthquake that was played.

    Attributes:
        p: Sample of its P, by the sensor's count.
        s: Sample of its S.
        sent_ns: Time of the node's clock when P was sent; None if the clock was set soon after.
    """

    p: int
    s: int
    sent_ns: int | None = None

    def is_picked(self, message: dict) -> bool:
        """Whether a message has a right pick of it.

        A pick carries its sample's number, which the sensor counts on through kills and unplugging:
        it separates one earthquake from the next however late a busy machine dates it.
        """
        return any(self.is_right(pick) for pick in message["picks"])

    def is_right(self, pick: dict) -> bool:
        """Whether a pick is within the scoreboard's tolerance of its phase's arrival."""
        arrival = self.p if pick["phase"] == "P" else self.s
        return abs(pick["sample"] - arrival) <= TOLERANCE_SECONDS * RATE

    def due(self, begin: int) -> int:
        """Return the sample by which it is reported, in a segment that begins at sample `begin`."""
        return max(self.s, begin + WINDOW_SECONDS * RATE) + REPORTED_SECONDS * RATE

    def excuse(self, breaks: list[Break]) -> str | None:
        """Return what broke the stream so that no node can report it; None if it must be reported.

        A node that is killed keeps every message that it has written (docs/delivery.md). It loses
        the samples that it had not analysed, at most `LAG_SECONDS` of them, and those that come
        before it knows the sensor again, at most as many.
        """
        at = bisect(breaks, self.p, key=lambda b: b.sample)
        since = bisect_left(breaks, self.p - EARLIEST_SECONDS * RATE, key=lambda b: b.sample)
        begin = self.p - EARLIEST_SECONDS * RATE
        for broken in breaks[since:at]:
            begin = max(begin, broken.sample + (LAG if broken.reason == KILL else 0))
            if begin + BEFORE_SECONDS * RATE > self.p:
                return broken.reason
        for broken in breaks[at:]:
            if broken.sample > self.due(begin) + LAG:
                break
            if broken.reason == KILL or broken.sample <= self.s + REPORTED_SECONDS * RATE:
                return broken.reason
        return None

    def dated_late_seconds(self, messages: list[dict], speed: float) -> float | None:
        """Seconds by which P is dated later than it was sent; None if that cannot be determined."""
        dates = [
            pick["time_ns"]
            for message in messages
            for pick in message["picks"]
            if pick["phase"] == "P" and self.is_right(pick)
        ]
        if self.sent_ns is None or not dates:
            return None
        return round((dates[0] - self.sent_ns) / speed / 1e9, 3)


@dataclass
class Account:
    """What came of it; `lost` and `missed` must be 0."""

    hours: float
    speed: float
    seed: int
    disk: str = ""
    faults: dict[str, int] = field(default_factory=dict)
    played: int = 0
    drawn_anew: int = 0
    """Earthquakes not played, because without any fault their picks were not clear."""
    expected: int = 0
    """Earthquakes played while the stream was unbroken for long enough."""
    expected_in_file: int = 0
    """Of these, with an event in the file."""
    expected_at_broker: int = 0
    missed: int = 0
    """Of these, with an event in neither."""
    excused: dict[str, int] = field(default_factory=dict)
    """The others, by what broke the stream too near to them."""
    excused_unheard: dict[str, int] = field(default_factory=dict)
    """Of these, with an event in neither."""
    dated_late_seconds: tuple[float, ...] = ()
    """Of the P expected, on the wall: earliest, median, latest."""
    lines: int = 0
    events: int = 0
    at_broker: int = 0
    duplicates_in_file: int = 0
    duplicates_at_broker: int = 0
    lost: int = 0
    """Messages in the file that the broker never got."""
    only_at_broker: int = 0
    """Published, and the node was killed before the disk accepted them."""
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
    lag_seconds: tuple[float, ...] = ()
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
        self, quakes: list[Quake], breaks: list[Break], lines: list[dict], arrived: list[dict]
    ) -> list[dict]:
        """Look for each earthquake in the file and at the broker; return what came of each."""
        in_file, at_broker = _by_quake(quakes, lines), _by_quake(quakes, arrived)
        excused: Counter[str] = Counter()
        unreported: Counter[str] = Counter()
        fates, late = [], []
        self.played = len(quakes)
        for number, quake in enumerate(quakes):
            reason = quake.excuse(breaks)
            reported = [*in_file[number], *at_broker[number]]
            seconds = quake.dated_late_seconds(reported, self.speed)
            if reason is not None:
                excused[reason] += 1
                unreported[reason] += not reported
            else:
                self.expected += 1
                self.expected_in_file += bool(in_file[number])
                self.expected_at_broker += bool(at_broker[number])
                self.missed += not reported
                late += [] if seconds is None else [seconds]
            fates.append(
                {
                    "p": quake.p,
                    "s": quake.s,
                    "excused": reason,
                    "lines": len(in_file[number]),
                    "at_broker": len(at_broker[number]),
                    "dated_late_seconds": seconds,
                }
            )
        self.excused, self.excused_unheard = dict(excused), dict(unreported)
        self.dated_late_seconds = _quantiles(late, [0.0, 0.5, 1.0])
        return fates

    def measure(self, records: list[dict]) -> None:
        """Take lag, memory and windows left out from the health records."""
        if not records:
            return
        lags = [r["lag_seconds"] for r in records if r["lag_seconds"] is not None]
        self.lag_seconds = _quantiles(lags, [0.5, 0.95, 0.99])
        last = [r for r in records if r["boot_id"] == records[-1]["boot_id"]]
        by_boot = {r["boot_id"]: r["windows_skipped_total"] for r in records}
        self.windows_skipped = sum(by_boot.values())
        settled = last[len(last) // 4 :]
        if len(settled) >= 3:
            hours = [r["samples_total"] / RATE / 3600 for r in settled]
            memory = [r["resident_memory_bytes"] / 1024 for r in settled]
            self.rss_slope_kb_per_hour = round(float(np.polyfit(hours, memory, 1)[0]), 1)


def key(message: dict) -> tuple[str, int]:
    """The key by which a receiver distinguishes messages."""
    return message["event_id"], message["sequence"]


def _by_quake(quakes: list[Quake], messages: list[dict]) -> dict[int, list[dict]]:
    """Messages with a right pick of each earthquake, by its number; quakes are in order."""
    begins = [quake.p - TOLERANCE_SECONDS * RATE for quake in quakes]
    found: dict[int, list[dict]] = defaultdict(list)
    for message in messages:
        number = bisect(begins, message["picks"][-1]["sample"]) - 1
        if number >= 0 and quakes[number].is_picked(message):
            found[number].append(message)
    return found


def _quantiles(values: list[float], shares: list[float]) -> tuple[float, ...]:
    return tuple(round(float(q), 4) for q in np.quantile(values, shares)) if values else ()
