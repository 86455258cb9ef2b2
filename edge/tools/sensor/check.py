"""Check wiring, rate, clock and losses of a sensor, with a remedy for each finding."""

from __future__ import annotations

import numpy as np

from ....firmware_bridge.decoder import Decoder
from ....firmware_bridge.diagnosis import diagnose
from ..finding import Check
from .monitor import Figures, Monitor

RATE_TOLERANCE_PPM = 1000.0
"""A crystal is within 100 ppm, a ceramic resonator within 5000; a larger error is reported."""
NO_WAY_BACK = "check that the sensor's RX is wired to our TX"
FAULTY_FIRMWARE = "correct the firmware: n of Samples is the number of channels in its Hello"


def examine(decoder: Decoder, monitor: Monitor, baud: int | None = None) -> list[Check]:
    """Return all findings, after the monitor has received the sensor for ten seconds or more.

    Args:
        decoder: Counted what was lost on the line.
        monitor: Has the figures.
        baud: Speed of the port, for the remedy.
    """
    trouble = diagnose(decoder, baud)
    report = monitor.report()
    if report.hello is None:
        if trouble is not None:
            return [Check("packets", False, trouble)]
        if decoder.losses.bytes_received:
            unknown = "packets arrive, but no Hello and no answer to IDENTIFY"
            return [Check("packets", False, unknown, NO_WAY_BACK)]
        wiring = "check that it is plugged in and powered, and that its TX is wired to our RX"
        return [Check("packets", False, "nothing arrives", wiring)]
    hello = report.hello
    losses = decoder.losses
    axes = " ".join(hello.channels)
    findings = [
        Check("device", True, f"{hello.device_id}, {hello.firmware}, {axes}"),
        Check(
            "line",
            trouble is None and losses.frames_bad <= 1,
            trouble
            or f"{losses.frames_ok} frames good, {losses.frames_bad} bad"
            + (f" ({decoder.last_fault})" if losses.frames_bad > 1 else ""),
        ),
        _rate(monitor),
        _clock(monitor),
        Check(
            "gaps",
            report.missing == 0 and report.boots == 0,
            f"{report.missing} of {report.missing + report.samples} samples missing in "
            f"{report.gaps} gaps, {report.boots} resets",
        ),
    ]
    if report.contradicting:
        findings.append(Check("channels", False, contradiction(report), FAULTY_FIRMWARE))
    if report.status is not None:
        status = report.status
        findings.append(
            Check(
                "converter",
                status.adc_ok and not status.adc_faults,
                f"{status.adc_faults} faults" + ("" if status.adc_ok else ", silent"),
                "" if status.adc_ok else "check the converter's wiring",
            )
        )
    return findings + _channels(monitor)


def contradiction(report: Figures) -> str:
    """Return one line on packets that do not fit the Hello."""
    announced = len(report.hello.channels) if report.hello else 0
    return (
        f"Hello has {announced} channels, {report.contradicting} Samples packets have "
        f"{report.sent_channels}: the firmware contradicts itself"
    )


def _rate(monitor: Monitor) -> Check:
    report = monitor.report()
    assert report.hello is not None
    nominal = report.hello.rate_hz
    if report.rate_hz is None:
        finding = f"nominally {nominal:g} Hz, but too few samples came"
        return Check("rate", False, finding, "check that the sensor was not stopped")
    off = (report.rate_hz / nominal - 1.0) * 1e6
    return Check(
        "rate",
        abs(off) < RATE_TOLERANCE_PPM + (report.tick_ppm_error or 0.0),
        f"{report.rate_hz:.3f} Hz, nominally {nominal:g} Hz ({off:+.0f} ppm)",
    )


def _clock(monitor: Monitor) -> Check:
    report = monitor.report()
    if report.round_trip_seconds is None:
        return Check("clock", False, "no answer to time requests", NO_WAY_BACK)
    finding = f"round trip {report.round_trip_seconds * 1e3:.1f} ms"
    if report.tick_ppm is not None and report.tick_ppm_error is not None:
        finding += f", crystal {report.tick_ppm:+.0f} ppm (within {report.tick_ppm_error:.0f})"
    return Check("clock", report.round_trip_seconds < 0.5, finding)


def _channels(monitor: Monitor) -> list[Check]:
    report, recent = monitor.report(), monitor.recent()
    findings = []
    for index, code in enumerate(report.hello.channels if report.hello else ()):
        if recent.shape[1:] != (len(report.mean_counts),) or index >= recent.shape[1]:
            break
        column = recent[:, index]
        bits = report.hello.adc_bits if report.hello else 32
        full = 2 ** (bits - 1) - 1
        clipped = float(np.mean(np.abs(column.astype(np.int64)) >= full))
        text = f"mean {report.mean_counts[index]:.0f}, rms {report.rms_counts[index]:.1f} counts"
        remedy = ""
        if clipped > 0.01:
            text += f", {100 * clipped:.0f} % at full scale"
            remedy = "check gain and wiring"
        elif column.min() == column.max():
            text += ", constant"
            remedy = "check that the channel is connected"
        findings.append(Check(code, not remedy, text, remedy))
    return findings
