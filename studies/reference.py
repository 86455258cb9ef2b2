"""Write `docs/settings.md`, `docs/commands.md` and `docs/metrics.md` from the code.

python -m studies.reference
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from eqedge.__main__ import cli
from eqedge.convert.tables import markdown_table
from eqedge.edge.cli import run
from eqedge.edge.health.degraded import effect
from eqedge.edge.health.metrics import DEGRADED_HELP, STAGES, metrics_of, stage_steps
from eqedge.edge.settings.config import section_of
from eqedge.edge.settings.documented import help_of
from eqedge.edge.settings.flags import SECTIONS
from eqedge.edge.settings.node import Settings

DOCS = Path(__file__).parents[1] / "docs"

SETTINGS_HEAD = """\
# Settings

Every setting of a node, by its table in the TOML file that `eqedge run --config FILE.toml` reads.
A setting that is not in the file has its default. Where an option is given, that option of
`eqedge run` sets it too, and overrides the file.

`eqedge run --print-config` prints such a file. [running.md](running.md#settings) describes how to
use it, [stream.md](stream.md) the windows and presets, [delivery.md](delivery.md) the broker.
This page is written by `python -m studies.reference`, from the code.

For example, early warnings at a short hop, published to a broker:

```toml
output = "triggers.jsonl"

[station]
network = "XX"
station = "EDGE"

[window]
hop_seconds = 0.25

[trigger]
preset = "early-warning"
P_threshold = 0.4       # instead of the preset's; the other thresholds stay

[mqtt]
host = "broker.local"
```
"""
COMMANDS_HEAD = """\
# Commands

Every command with its options, as `eqedge COMMAND --help` prints them. Defaults and ranges are in
brackets. [running.md](running.md), [operation.md](operation.md) and
[training](training/README.md) describe how to use them. This page is written by
`python -m studies.reference`, from the code.

"""
METRICS_HEAD = """\
# Metrics

What a node counts and measures, under its name in Prometheus' text. In the health record the name
is without `eqedge_`. Counters start at 0 with the program. A gauge whose value is unknown is left
out of Prometheus' text, and null in the record. A label is text: the metric is always 1, with the
text as a label of that name.

[operation.md](operation.md#health-and-metrics) describes where they are published and which are
worth an alarm. This page is written by `python -m studies.reference`, from the code.

The last column has the effect on `state` in the health record, which also names the metrics:

- `degraded: + 3`: the counter has grown by 3 or more within the last 60 s (`degraded_seconds` in
  `[health]`), or since the record before where records are further apart. So the state is
  `healthy` again 60 s after the cause is over.
- `degraded: above 0`: while the gauge is above 0. `lasting`: only where it has been so for 60 s.
- `its worst`: the worst state of a stage is the node's, and goes before `degraded`.

A sensor whose samples are left out, and a component that is dead, railed, or far weaker or
stronger than the others, degrade the state too, until that is over.

"""
TOP_LEVEL = "Before the first table of the file."
BROKER_OPTION = {"host", "port", "tls", "topic_prefix"}
"""Settings that the address of `--mqtt` contains."""


def settings_page() -> str:
    """Return `docs/settings.md`."""
    parts = [SETTINGS_HEAD, "## Top of the file\n", f"{TOP_LEVEL}\n", _settings(Settings, "")]
    for field in dataclasses.fields(Settings):
        section, optional = section_of(Settings, field.name)
        if section is not None:
            about = inspect.cleandoc(section.__doc__ or "")
            about += "\nWithout this table nothing is published." if optional else ""
            parts += [f"## [{field.name}]\n", f"{about}\n", _settings(section, field.name)]
    return "\n".join(parts)


def commands_page() -> str:
    """Return `docs/commands.md`."""
    contexts = list(_contexts(cli, click.Context(cli, info_name="eqedge")))
    rows = [
        (f"[`{path}`](#{path.replace(' ', '-')})", context.command.get_short_help_str(limit=200))
        for context in contexts
        for path in [context.command_path]
    ]
    return "\n".join([COMMANDS_HEAD + _table("command | meaning", rows), *map(_command, contexts)])


def metrics_page(stages: Sequence[type] = STAGES) -> str:
    """Return `docs/metrics.md`."""
    metrics = sorted(metrics_of((), stages), key=lambda metric: metric.name)
    rows = [
        (f"`eqedge_{m.name}`", m.description.kind, m.description.help, effect(m.description))
        for m in metrics
    ]
    steps = f"State of each stage: {stage_steps()}."
    rows.append(("`eqedge_stage_state`", "gauge", steps, "its worst"))
    rows.append(("`eqedge_degraded`", "gauge", DEGRADED_HELP, "none"))
    return METRICS_HEAD + _table("metric | kind | meaning | effect on state", rows)


def main() -> None:
    """Write the pages."""
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    (DOCS / "commands.md").write_text(commands_page(), encoding="utf-8")
    (DOCS / "metrics.md").write_text(metrics_page(), encoding="utf-8")


def _settings(section: Any, name: str) -> str:
    """Return the table of one section's settings."""
    rows = [
        (f"`{field.name}`", _option(name, field.name), _default(field), help_of(field))
        for field in dataclasses.fields(section)
        if section_of(section, field.name)[0] is None
    ]
    return _table("setting | option | default | meaning", rows)


def _option(section: str, setting: str) -> str:
    """Return the option of `eqedge run` that sets a setting; empty if there is none."""
    if section == "mqtt":
        name = "mqtt" if setting in BROKER_OPTION else None
    elif section:
        names = {target: flag for flag, target in SECTIONS.get(section, {}).items()}
        name = names.get(setting)
    else:
        name = setting
    return next((f"`{one.opts[0]}`" for one in run.params if one.name == name), "")


def _default(field: dataclasses.Field[Any]) -> str:
    """Return a default as TOML writes it."""
    if field.default is dataclasses.MISSING:
        return "required"
    return "unset" if field.default is None else f"`{json.dumps(field.default)}`"


def _contexts(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """Yield a context for the command and for each one below it, in click's order."""
    yield context
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        settings = inner.context_settings
        yield from _contexts(
            inner, click.Context(inner, info_name=name, parent=context, **settings)
        )


def _command(context: click.Context) -> str:
    """Return a command's chapter; never wrapped, so that the terminal's width has no effect."""
    command, path = context.command, context.command_path
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    usage = usage.replace("[COMMAND]", "COMMAND")  # releases of click differ in this
    parts = [f"## {path}\n", f"```\n{usage}\n```\n", f"{_prose(command.help or '')}\n"]
    options = [one for one in command.params if isinstance(one, click.Option)]
    records = [record for one in options if (record := one.get_help_record(context))]
    rows = [(f"`{names}`", _prose(" ".join(meaning.split()))) for names, meaning in records]
    return "\n".join([*parts, _table("option | meaning", rows)] if rows else parts)


def _prose(text: str) -> str:
    """Return help as Markdown, where `<name>` outside code would be HTML."""
    parts = inspect.cleandoc(text).split("`")
    return "`".join(
        part if number % 2 else re.sub(r"<(?=\w+>)", r"\\<", part)
        for number, part in enumerate(parts)
    )


def _table(head: str, rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table, with each `|` in a cell escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(markdown_table(head.split(" | "), cells)) + "\n"


if __name__ == "__main__":
    main()
