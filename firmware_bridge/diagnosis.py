"""Explain in one line why a stream contains no packets."""

from __future__ import annotations

import re

from .decoder import Decoder

_ENOUGH_BYTES = 200
"""Fewer bytes do not allow a diagnosis."""
_NMEA = re.compile(rb"\$[A-Z]{2}[A-Z]{3},[\x20-\x7e]*")
_PRINTABLE = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D}


def diagnose(decoder: Decoder, baud: int | None = None) -> str | None:
    """Return one line about what is wrong, or None while the stream is good or too short.

    Args:
        decoder: The decoder that has taken the stream.
        baud: The speed of the port, for the remedy.
    """
    losses, tail = decoder.losses, decoder.rejected_tail
    if losses.unknown_version and not losses.frames_ok:
        return decoder.last_fault
    if losses.malformed and not losses.frames_ok:
        return f"the device's packets make no sense: {decoder.last_fault}"
    if losses.frames_ok or losses.unknown_type:
        bad, good = losses.frames_bad, losses.frames_ok
        if bad > 10 and bad > good:
            return (
                f"{bad} of {bad + good} frames arrive damaged ({decoder.last_fault}): "
                "check ground and cable length, or choose a lower speed on both sides"
            )
        return None
    if losses.bytes_received < _ENOUGH_BYTES:
        return None
    if _NMEA.search(tail):
        return "this is a GPS receiver (it sends NMEA text), not a sensor: choose another port"
    printable = sum(byte in _PRINTABLE for byte in tail)
    if tail and printable > 0.95 * len(tail):
        line = _excerpt(tail.decode("ascii", "replace"))
        sent = f"text ({line!r})" if line else "empty lines"
        return (
            f"the device sends {sent}, not packets: it is another device, or it still "
            "runs other firmware: flash the sensor's"
        )
    at = f" at {baud} baud" if baud else ""
    return (
        f"{losses.bytes_received} bytes{at} and not one packet among them: probably the wrong "
        "speed; set the firmware's baud rate (115200 unless changed), or let "
        "`eqedge sensor check` look for it"
    )


def _excerpt(text: str) -> str:
    """Return the newest line that is not blank, one that has ended if there is one, shortened."""
    lines = text.splitlines(keepends=True)
    written = [line for line in lines if line.strip()]
    ended = [line for line in written if line.endswith(("\n", "\r"))]
    # The first line may have begun before the excerpt; it counts only where there is no other.
    whole = ended[1:] if ended and ended[0] is lines[0] else ended
    newest = (whole or ended or written or [""])[-1]
    return " ".join(newest.split())[:40]
