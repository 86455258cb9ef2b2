"""Check a node's config without starting the node or opening its sensor's port."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ... import EqedgeError
from ..delivery.login import read_credentials, tls_context
from ..fallback import runnable
from ..settings.config import settings_and_problems
from ..settings.delivery import MqttSettings
from ..settings.flags import warnings
from ..settings.names import impossible_names
from ..settings.node import Settings
from ..settings.validation import SettingsError
from ..trigger import thresholds_of
from ..windows import Windower
from .finding import Check
from .places import places


def check_config(path: Path) -> tuple[Settings, list[str], list[str]]:
    """Return the settings of a file, its problems, and what a start would find today.

    Args:
        path: TOML file.

    Returns:
        The settings, as far as they are good; a line for each problem, with which no node starts;
        a line for each warning.

    Raises:
        SettingsError: The file cannot be read, or is not TOML.
    """
    settings, problems = settings_and_problems(path)
    impossible = list(impossible_names(settings))
    if impossible:
        return settings, [*problems, *(f"config {path}: {line}" for line in impossible)], []
    cautions = warnings(path, settings)
    try:
        spec = runnable(settings.model).spec
    except EqedgeError as error:
        if settings.model_fallback:
            cautions.append(f"{_line(error)}. Until then a packaged model picks")
        else:
            problems.append(_line(error))
    else:
        try:
            thresholds_of(settings.trigger, spec)
            Windower(spec.window_samples, spec.sampling_rate_hz, settings.window)
        except SettingsError as error:
            problems.append(f"config {path}: {error}")
    mqtt = settings.mqtt
    if mqtt and mqtt.credentials_file and not mqtt.tls and not mqtt.allow_insecure:
        problems.append(
            f"config {path}: user name and password would be sent to {mqtt.host} unencrypted; set "
            "tls in [mqtt], or allow_insecure if the network is your own"
        )
    elif mqtt:
        cautions += _login(mqtt)
    if settings.sensor.port is not None or not problems:
        cautions += _sensor(settings)
    found = (check for check in places(settings) if check.warns or not check.good)
    cautions += [_as_line(check) for check in found]
    return settings, problems, cautions


def _sensor(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with the sensor's port, as far as it can be seen without opening it."""
    port = settings.sensor.port
    if port is None:
        yield "sensor.port is not set; set it, or give --serial PORT to eqedge run"
    elif "://" not in port and not os.path.exists(port):
        yield f"sensor port {port}: there is no such port now; plug in, or correct the name"


def _login(mqtt: MqttSettings) -> Iterator[str]:
    """Yield what is wrong in the files that prove node and broker to each other.

    `places` reports those that cannot be opened.
    """
    credentials = mqtt.credentials_file
    try:
        if credentials and os.path.isfile(credentials) and os.access(credentials, os.R_OK):
            read_credentials(mqtt, {})
    except SettingsError as error:
        yield _line(error)
    try:
        tls_context(mqtt)
    except SettingsError as error:
        yield _line(error)


def _as_line(check: Check) -> str:
    return f"{check.name}: {check.finding}; {check.remedy}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
