"""Check what a node needs, one thing after another; each failure has its remedy."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

from ... import EqedgeError, reason_of
from ...firmware_bridge.diagnosis import diagnose
from ...firmware_bridge.packets import Hello, Samples
from ...firmware_bridge.port import Port, PortError
from ...models.registry import Model, ModelError
from ...models.spec import SpecError
from ..assemble import layout_for
from ..dating.arrivals import host_synchronised
from ..delivery.link import BrokerLink, LinkLost
from ..delivery.login import read_credentials, tls_context
from ..fallback import runnable
from ..resample import same_rate
from ..settings.delivery import MqttSettings
from ..settings.node import Settings, StationSettings
from ..trigger import thresholds_of
from .finding import Check, failed
from .places import places
from .sensor.listener import Listener

SENSOR_SECONDS = 12.0
"""Longest wait for a sensor's Hello, which it sends at least every ten seconds."""
LISTEN_SECONDS = 3.0
"""How long its samples are counted."""
CONNECT_SECONDS = 5.0


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
        yield from _broker(settings.mqtt, settings.station)


def _clock() -> Check:
    if host_synchronised():
        return Check("clock", True, "the kernel's clock is synchronised")
    return Check(
        "clock",
        False,
        "the kernel's clock is not synchronised",
        "enable systemd-timesyncd or chrony, or connect a GPS; until then events are not synced",
    )


# -- the sensor --------------------------------------------------------------------------------


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


# -- the broker --------------------------------------------------------------------------------


def _broker(settings: MqttSettings, station: StationSettings) -> Iterator[Check]:
    """Check name, TCP, TLS, login and a publication; stop at the first failure."""
    base = f"{settings.topic_prefix}/{station.network}/{station.station}"
    topic = f"{base}/doctor"
    ours, theirs = socket.socketpair()
    link = BrokerLink(settings, f"eqedge-doctor-{secrets.token_hex(4)}", topic, ours)

    def resolve() -> str:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        return f"{settings.host} is {found[0][4][0]}"

    def connect() -> str:
        with socket.create_connection((settings.host, settings.port), CONNECT_SECONDS):
            return f"port {settings.port} answers"

    def encrypt() -> str:
        context = tls_context(settings)
        assert context is not None
        with (
            socket.create_connection((settings.host, settings.port), CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=settings.host) as safe,
        ):
            return f"{safe.version()}, certificate accepted"

    def log_in() -> str:
        credentials = read_credentials(settings, os.environ)
        link.open(tls_context(settings), credentials, "")
        who = "with user name and password" if credentials else "without a user name"
        warning = f"; {credentials.warning}" if credentials and credentials.warning else ""
        return f"accepts the node {who}{warning}"

    stages: list[tuple[str, Callable[[], str], str]] = [
        ("broker: DNS", resolve, "check the spelling of the host, and the node's DNS"),
        (
            "broker: TCP",
            connect,
            "check that the broker is running and that no firewall blocks the node",
        ),
        ("broker: TLS", encrypt, "check ca_file, the certificate's name and the node's clock"),
        ("broker: MQTT", log_in, "check user name and password; the broker's log has details"),
        (
            "broker: publish",
            lambda: _publish(link, topic),
            f"allow the node to write to {base}/# in the broker's access list",
        ),
    ]
    with ours, theirs:
        try:
            for name, stage, remedy in stages:
                if stage is encrypt and not settings.tls:
                    continue
                try:
                    yield Check(name, True, stage())
                except (OSError, EqedgeError, LinkLost) as error:
                    finding = reason_of(error)
                    yield Check(name, False, " ".join(finding.split()), remedy)
                    return
        finally:
            link.close()


def _publish(link: BrokerLink, topic: str) -> str:
    """Publish a message that is not retained; wait until the broker acknowledges it."""
    number = link.publish(topic, b"eqedge doctor")
    deadline = time.monotonic() + CONNECT_SECONDS
    while time.monotonic() < deadline:
        for acknowledged, reason in link.take_acknowledgements():
            if acknowledged == number and reason.is_failure:
                raise LinkLost(f"the broker rejects {topic}: {reason}")
            if acknowledged == number:
                return f"acknowledges {topic}"
        link.turn(0.1)
    raise LinkLost("the broker did not acknowledge a message")
