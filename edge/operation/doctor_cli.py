"""`eqedge doctor`: what stands between this machine and a working node."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click


@click.command(context_settings={"show_default": True})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Settings as for eqedge run.",
)
@click.option("--serial", metavar="PORT", help="The sensor's port.  [default: the settings']")
@click.option("--baud", type=int, help="Speed of the serial port.  [default: the settings']")
@click.option("--model", metavar="NAME|FILE.tflite", help="The model.  [default: the settings']")
@click.option("--output", metavar="FILE.jsonl", help="Where triggers will be written.")
@click.option("--mqtt", metavar="mqtt://HOST:1883", help="The broker.")
def doctor(
    config: Path | None,
    serial: str | None,
    baud: int | None,
    model: str | None,
    output: str | None,
    mqtt: str | None,
) -> None:
    """Check clock, model, disk, sensor and broker, one after another, and say what to do.

    The broker is checked in stages: name, TCP, TLS, MQTT with a message that must be acknowledged.
    Exits 0 if all is well, 1 otherwise.
    """
    from ..settings import MqttSettings, Settings
    from .config import read_config
    from .doctor import examine

    settings = read_config(config) if config else Settings()
    settings = replace(
        settings,
        model=model or settings.model,
        output=output or settings.output,
        mqtt=MqttSettings.from_url(mqtt) if mqtt else settings.mqtt,
    )
    failed = 0
    for check in examine(settings, serial or settings.sensor.port, baud or settings.sensor.baud):
        click.echo(f"{'ok  ' if check.good else 'FAIL'}  {check.name:14} {check.finding}")
        if check.remedy:
            click.echo(f"{'':20} -> {check.remedy}")
        failed += not check.good
    sys.exit(1 if failed else 0)
