"""Format a monitor's figures as the lines that `eqedge sensor watch` prints."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ....firmware_bridge.decoder import Decoder
from ....firmware_bridge.diagnosis import diagnose
from ....firmware_bridge.port import Port, PortState
from .check import contradiction
from .monitor import Monitor

MARKS = " .:-=+*#%@"
"""From no signal to the strongest."""
PLOT_WIDTH = 60


def report_lines(decoder: Decoder, monitor: Monitor, port: Port, baud: int) -> list[str]:
    """Return the present lines: one for the stream, one for each channel."""
    if port.state is PortState.LOST:
        return [f"port lost ({port.last_fault}): looking for it"]
    report = monitor.report()
    if report.hello is None:
        return [diagnose(decoder, baud) or f"{decoder.losses.bytes_received} bytes, no Hello yet"]
    hello, losses = report.hello, decoder.losses
    parts = [
        hello.device_id,
        f"{report.rate_hz:.3f} Hz" if report.rate_hz else f"{hello.rate_hz:g} Hz nominal",
        f"{report.samples} samples, {report.missing} missing, {report.gaps} gaps",
        f"{losses.frames_bad} bad frames",
    ]
    if report.contradicting:
        parts.append(contradiction(report))
    if report.boots:
        parts.append(f"{report.boots} resets")
    if report.tick_ppm is not None and report.tick_ppm_error is not None:
        parts.append(f"crystal {report.tick_ppm:+.0f}±{report.tick_ppm_error:.0f} ppm")
    if report.round_trip_seconds is not None:
        parts.append(f"clock within {report.round_trip_seconds / 2 * 1e3:.1f} ms")
    if report.latency_seconds is not None:
        parts.append(f"latency {report.latency_seconds * 1e3:.0f} ms")
    if report.status is not None and report.status.samples_dropped:
        parts.append(f"{report.status.samples_dropped} dropped on the device")
    lines = [" | ".join(parts)]
    recent = monitor.recent().astype(np.float64)
    for index, code in enumerate(hello.channels):
        if index < len(report.rms_counts):
            plot = sparkline(recent[:, index], PLOT_WIDTH)
            lines.append(
                f"  {code} mean {report.mean_counts[index]:12.1f} "
                f"rms {report.rms_counts[index]:10.1f} |{plot}|"
            )
    return lines


def sparkline(values: NDArray[np.float64], width: int) -> str:
    """Return one line of text, darker where the signal is stronger."""
    if len(values) == 0:
        return ""
    pieces = np.array_split(np.abs(values - np.median(values)), min(width, len(values)))
    heights = [float(piece.max()) for piece in pieces]
    top = max(heights)
    if not math.isfinite(top) or top == 0.0:
        return MARKS[0] * len(heights)
    return "".join(MARKS[round(h / top * (len(MARKS) - 1))] for h in heights)
