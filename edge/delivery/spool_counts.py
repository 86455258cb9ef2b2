"""What the spool counts and measures."""

from __future__ import annotations

from dataclasses import dataclass

from ...firmware_bridge.measured import counter, gauge, state_reason


@dataclass
class SpoolCounts:
    """What became of the messages."""

    purged: int = counter(
        "spool_purged_total",
        "Messages dropped, the oldest first, because too many waited.",
        degrades=1,
    )
    disk_errors: int = counter(
        "spool_errors_total",
        "Transactions that the disk rejected; their messages stay in memory.",
        degrades=1,
    )
    damaged: int = counter(
        "spool_damaged_total",
        "Spools that could not be read and were set aside.",
        degrades=1,
    )
    newer: int = counter(
        "spool_newer_total",
        "Spool of a newer version of eqedge that was set aside at the start.",
        degrades=1,
    )
    renewed: int = counter(
        "spool_renewed_total",
        "Times the spool was deleted or replaced while the node ran, and was written anew.",
        degrades=1,
    )
    set_aside: int = counter(
        "spool_set_aside_total",
        "Damaged messages of the spool that were set aside in its table `damaged`.",
        degrades=1,
    )
    restored: int = counter(
        "spool_restored_total",
        "Lines of the output that the spool did not know and that were stored for the broker.",
    )
    reason: str = state_reason()


@dataclass(frozen=True)
class SpoolState:
    """What waits."""

    messages: int | None = gauge("spool_messages", "Messages the broker has not acknowledged.")
    oldest_seconds: float | None = gauge(
        "spool_oldest_seconds",
        "Age of the oldest message the broker has not acknowledged.",
        digits=3,
    )
