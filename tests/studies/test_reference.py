"""The pages of settings, commands and metrics are of today."""

import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from eqedge.__main__ import cli
from eqedge.edge.cli import run
from eqedge.edge.settings.config import read_config
from eqedge.edge.settings.flags import SECTIONS
from eqedge.edge.settings.node import Settings

from studies.reference import commands_page, metrics_page, settings_page
from tests.test_architecture import commands

WRITES = {"settings.md": settings_page, "commands.md": commands_page, "metrics.md": metrics_page}
ALONE = """
import sys
from studies import reference
heavy = {"tensorflow", "keras", "scipy", "obspy", "matplotlib"}
assert not heavy.intersection(sys.modules), heavy.intersection(sys.modules)
sys.stdout.write(reference.settings_page() + reference.commands_page())
"""


@pytest.mark.parametrize("page", WRITES)
def test_the_pages_are_current(root, page):
    """`python -m studies.reference` writes them."""
    assert WRITES[page]() == (root / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", ["20", "300"])
def test_a_terminal_changes_nothing(root, columns):
    """Nor does a new process, whose sets have another order; TensorFlow is not imported."""
    result = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=root,
        env={**os.environ, "COLUMNS": columns, "PYTHONHASHSEED": columns},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == settings_page() + commands_page()


def test_every_command_and_every_option_is_there():
    """Each command has a chapter, and each of its options a row in it."""
    chapters = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", commands_page(), re.M))
    everything = {"eqedge": cli}
    everything |= {f"eqedge {' '.join(names)}": command for names, command in commands()}
    assert set(chapters) == set(everything)
    for name, command in everything.items():
        for option in command.params:
            if option.param_type_name == "option":
                assert re.search(rf"^\| `[^`]*{option.opts[0]}\b", chapters[name], re.M), name


def test_the_options_that_settings_have():
    """Each option of `eqedge run` that sets a setting stands beside one."""
    named = set(re.findall(r"^\| `\w+` \| `(--[\w-]+)` \|", settings_page(), re.M))
    flags = {flag for names in SECTIONS.values() for flag in names} | {"model", "output", "mqtt"}
    assert named == {one.opts[0] for one in run.params if one.name in flags}


def test_the_settings_example_loads(tmp_path):
    """It is a config file."""
    path = tmp_path / "eqedge.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", settings_page(), re.S)[1])
    settings = read_config(path)
    assert settings.trigger.preset == "early-warning" and settings.window.hop_seconds == 0.25
    assert settings.mqtt.host == "broker.local"
    assert settings.health == Settings().health


def test_a_list_of_commands_shows_each_first_sentence_whole():
    """On a terminal of 80 columns `--help` of the program and of each group cuts none short."""
    groups = {"eqedge": cli} | {" ".join(names): command for names, command in commands()}
    groups = {name: one for name, one in groups.items() if isinstance(one, click.Group)}
    assert len(groups) >= 4
    for name, group in groups.items():
        page = CliRunner().invoke(group, ["--help"], terminal_width=80).output
        assert "..." not in page.split("Commands:")[1], name
