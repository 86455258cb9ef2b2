"""Check what a node needs, one thing after another; each failure has its remedy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from ... import EqedgeError
from ...firmware_bridge.diagnosis import diagnose
from ...firmware_bridge.packets import Hello, Samples
from ...firmware_bridge.port import Port, PortError
from ...models.registry import Model, ModelError
from ...models.spec import SpecError
from ..assemble import layout_for
from ..dating.arrivals import host_synchronised
from ..fallback import runnable
from ..resample import same_rate
from ..settings.node import Settings
from ..trigger import thresholds_of
from .broker_check import check_broker
from .finding import Check, failed
from .places import places
from .sensor.listener import Listener

SENSOR_SECONDS = 12.0
"""Longest wait for a sensor's Hello, which it sends at least every ten seconds."""
LISTEN_SECONDS = 3.0
"""How long its samples are counted."""


def examine(settings: Settings) -> Iterator[Check]:
    """Check everything that the settings name, in the order in which the node needs it.

    Args:
        settings: As the node would run with.
    """
    yield _clock()
    model: Model | None = None
    try:
        model = runnable(settings.model)
        thresholds_of(settings.trigger, model.spec)
    except (ModelError, SpecError) as error:
        check = failed("model", error)
        if settings.model_fallback:
            check = replace(check, remedy=f"{check.remedy}; until then a packaged model picks")
        yield check
    except EqedgeError as error:
        yield failed("model", error)
    else:
        yield Check("model", True, f"{model.name}, sha256 {model.sha256[:12]}, loads and matches")
    yield from places(settings)
    if settings.sensor.port is not None:
        yield from _sensor(settings.sensor.port, settings.sensor.baud, model)
    if settings.mqtt is not None:
        yield from check_broker(settings.mqtt, settings.station)


def _clock() -> Check:
    if host_synchronised():
        return Check("clock", True, "the kernel's clock is synchronised")
    return Check(
        "clock",
        False,
        "the kernel's clock is not synchronised",
        "enable systemd-timesyncd or chrony, or connect a GPS; until then events are not synced",
    )


def _sensor(url: str, baud: int, model: Model | None) -> Iterator[Check]:
    """Check the port, the sensor's Hello with its rate and channels, and the flow of samples."""
    port = Port(url, baud)
    try:
        port.open()
    except PortError as error:
        yield _port_trouble(error)
        return
    with closing(port):
        yield Check("port", True, f"{url} opens and is not in use")
        listener = Listener(port)
        hello, received = _count_samples(listener)
    decoder = listener.decoder
    if hello is None:
        yield Check(
            "sensor",
            False,
            diagnose(decoder, baud) or f"no sensor answered within {SENSOR_SECONDS:.0f} s",
            "check power, wiring, baud rate and firmware, and that no node or other program uses "
            "the sensor; eqedge sensor watch shows details",
        )
        return
    rate_hz = model.spec.sampling_rate_hz if model else 100.0
    try:
        layout_for(hello, rate_hz)
    except EqedgeError as error:
        yield failed("sensor", error)
        return
    rate = f"{hello.rate_hz:g} Hz"
    if not same_rate(hello.rate_hz, rate_hz):
        rate += f" (resampled to {rate_hz:g} Hz)"
    yield Check(
        "sensor",
        True,
        f"{hello.device_id} ({hello.firmware}), {rate}, {' '.join(hello.channels)}",
    )
    expected = hello.rate_hz * LISTEN_SECONDS
    losses = decoder.losses
    good = received > 0.8 * expected and losses.frames_bad <= 0.05 * max(losses.frames_ok, 1)
    yield Check(
        "samples",
        good,
        f"{received} in {LISTEN_SECONDS:.0f} s, {losses.frames_bad} damaged frames",
        "" if good else "check cable, ground and baud rate; eqedge sensor watch shows details",
    )


def _port_trouble(error: PortError) -> Check:
    """Add a remedy where the error has only the system's message."""
    if error.reason != "failed":
        return failed("port", error)
    remedy = "check that this is the sensor's port; check its name and its cable"
    if "://" in error.url:
        remedy = "check host and port, and that the sensor's server is running there"
    return Check("port", False, " ".join(str(error).split()), remedy)


def _count_samples(listener: Listener) -> tuple[Hello | None, int]:
    """Wait for a Hello, then count samples; return it, or None, and how many came."""
    hello: Hello | None = None
    received = 0
    deadline = time.monotonic() + SENSOR_SECONDS
    for portion in listener.packets(deadline + LISTEN_SECONDS):
        for one in portion:
            if isinstance(one.packet, Samples) and hello is not None:
                received += len(one.packet.counts)
            if isinstance(one.packet, Hello) and hello is None:
                hello, deadline = one.packet, time.monotonic() + LISTEN_SECONDS
        if time.monotonic() >= deadline:
            break
    return hello, received
