"""Combine the options of the command line with the config file; options override it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ...models.registry import shipped, weights_folder
from .config import read_config, writable_by_others
from .delivery import MqttSettings
from .names import impossible_names
from .node import Settings, TriggerSettings
from .validation import SettingsError

SECTIONS = {
    "station": {"network": "network", "station": "station", "location": "location"},
    "sensor": {"serial": "port", "baud": "baud"},
    "window": {"hop": "hop_seconds"},
    "trigger": {field.name: field.name for field in fields(TriggerSettings)},
}
"""Section -> option -> setting in it."""


def settings_of(config: Path | None, given: Mapping[str, Any]) -> Settings:
    """Return the file's settings, or the defaults, overridden by the options that were given.

    Args:
        config: TOML file.
        given: Only the options that are on the command line.

    Raises:
        SettingsError: The file or an option is wrong.
    """
    settings = read_config(config) if config else Settings()
    changed: dict[str, Any] = {}
    for section, names in SECTIONS.items():
        values = {names[flag]: value for flag, value in given.items() if flag in names}
        if values:
            changed[section] = replace(getattr(settings, section), **values)
    for name in ("model", "output"):
        if name in given:
            changed[name] = str(given[name])
    if "mqtt" in given:
        changed["mqtt"] = _broker(settings.mqtt, given["mqtt"])
    settings = replace(settings, **changed)
    for problem in impossible_names(settings):
        raise SettingsError(problem)
    return settings


def warnings(config: Path | None, settings: Settings) -> list[str]:
    """Return a warning for each file with which another user could change what the node does."""
    model = Path(settings.model)
    if settings.model in shipped():
        model = weights_folder() / f"{settings.model}.tflite"
    files = [model, model.with_suffix(".json"), *([config] if config else [])]
    return [
        f"{path} can be changed by other users; chmod go-w {path}"
        for path in files
        if path.exists() and writable_by_others(path)
    ]


def _broker(configured: MqttSettings | None, url: str) -> MqttSettings:
    """Take the address from the option; login and limits stay as in the file."""
    named = MqttSettings.from_url(url)
    if configured is None:
        return named
    prefix = named.topic_prefix
    if prefix == MqttSettings.topic_prefix:
        prefix = configured.topic_prefix
    return replace(configured, host=named.host, port=named.port, tls=named.tls, topic_prefix=prefix)
