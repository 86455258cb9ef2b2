"""Check the way to a broker, stage by stage: name, TCP, TLS, login, what it can do, a message."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator

from ... import EqedgeError, reason_of
from ..delivery.abilities import Abilities
from ..delivery.link import BrokerLink
from ..delivery.login import read_credentials, tls_context
from ..delivery.reasons import REFUSED_UNEXPLAINED, LinkLost
from ..settings.delivery import MqttSettings
from ..settings.node import StationSettings
from .finding import Check

CONNECT_SECONDS = 5.0
"""Longest wait for TCP, and for the acknowledgement of a message."""
ATTEMPTS = 8
"""Connections until one is accepted: each may leave out one more feature, as the node does."""


def check_broker(settings: MqttSettings, station: StationSettings) -> Iterator[Check]:
    """Check one stage after another up to the first failure.

    Args:
        settings: Of the broker.
        station: Whose topics are used.
    """
    base = f"{settings.topic_prefix}/{station.network}/{station.station}"
    topic = f"{base}/doctor"
    access = f"allow the node to write to {base}/# in the broker's access list"
    before: list[tuple[str, Callable[[], str], str]] = [
        (
            "broker: DNS",
            lambda: _resolve(settings),
            "check the spelling of the host, and the node's DNS",
        ),
        (
            "broker: TCP",
            lambda: _connect(settings),
            "check that the broker is running and that no firewall blocks the node",
        ),
    ]
    if settings.tls:
        remedy = "check ca_file, the certificate's name and the node's clock"
        before.append(("broker: TLS", lambda: _encrypt(settings), remedy))
    for name, stage, remedy in before:
        try:
            yield Check(name, True, stage())
        except (OSError, EqedgeError) as error:
            yield _failure(name, error, remedy)
            return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # Whatever a broken broker makes the client library raise is a finding.
        try:
            link, who = _log_in(settings, topic, ours)
        except Exception as error:
            remedy = "check user name and password; the broker's log has details"
            yield _failure("broker: MQTT", error, remedy)
            return
        try:
            yield Check("broker: MQTT", True, f"accepts the node {who}")
            limits = link.abilities.describe()
            if limits:
                remedy = "the node goes on like this; docs/delivery.md has what that means"
                yield Check("broker: limits", True, limits, remedy, warns=True)
            yield Check("broker: publish", True, _publish(link, topic))
        except Exception as error:
            yield _failure("broker: publish", error, access)
        finally:
            link.close()


def _failure(name: str, error: Exception, remedy: str) -> Check:
    return Check(name, False, " ".join(reason_of(error).split()), remedy)


def _resolve(settings: MqttSettings) -> str:
    found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    return f"{settings.host} is {found[0][4][0]}"


def _connect(settings: MqttSettings) -> str:
    with socket.create_connection((settings.host, settings.port), CONNECT_SECONDS):
        return f"port {settings.port} answers"


def _encrypt(settings: MqttSettings) -> str:
    context = tls_context(settings)
    assert context is not None
    with (
        socket.create_connection((settings.host, settings.port), CONNECT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=settings.host) as safe,
    ):
        return f"{safe.version()}, certificate accepted"


def _log_in(settings: MqttSettings, topic: str, wake: socket.socket) -> tuple[BrokerLink, str]:
    """Connect with all that the broker accepts; return the connection and how the node logged in.

    Raises:
        EqedgeError: Credentials or certificates cannot be used.
        LinkLost: The broker accepts no connection.
        OSError: Name, TCP or TLS failed.
    """
    abilities = Abilities(settings)
    credentials = read_credentials(settings, os.environ)
    who = "with user name and password" if credentials else "without a user name"
    if credentials and credentials.warning:
        who += f"; {credentials.warning}"
    client_id = f"eqedge-doctor-{secrets.token_hex(4)}"
    reason = LinkLost("the broker accepts no connection")
    for _ in range(ATTEMPTS):
        link = BrokerLink(settings, client_id, topic, wake, abilities)
        try:
            link.open(tls_context(settings), credentials, "")
        except LinkLost as lost:
            link.drop()
            reason = lost
            is_tried_again = abilities.refused(lost.code) or (
                lost.is_silent and abilities.closed_unanswered()
            )
            if not is_tried_again:
                break
            continue
        if not abilities.is_in_doubt():
            return link, who
        link.close()
    raise LinkLost(REFUSED_UNEXPLAINED) if reason.is_silent else reason


def _publish(link: BrokerLink, topic: str) -> str:
    """Publish a message that is not retained; wait until the broker acknowledges it.

    Raises:
        LinkLost: It does not, or rejects the message.
    """
    number = link.publish(topic, b"eqedge doctor")
    deadline = time.monotonic() + CONNECT_SECONDS
    while time.monotonic() < deadline:
        for acknowledged, reason in link.take_acknowledgements():
            if acknowledged == number and reason.is_failure:
                raise LinkLost(f"the broker rejects {topic}: {reason}")
            if acknowledged == number:
                return f"acknowledges {topic}" if link.abilities.qos else f"reads {topic}"
        link.turn(0.1)
    raise LinkLost("the broker did not acknowledge a message")
