"""The shape of the whole: what may import what, what a node carries, what is documented."""

import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from eqedge.__main__ import cli
from eqedge.edge.replay.sample import DEMO_FILE

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("tensorflow", "keras", "scipy", "obspy", "matplotlib", "jsonschema", "hypothesis")
"""What a node does not have."""
BARE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["eqedge", *sys.argv[1:]]
from eqedge.__main__ import main
main()
"""


def bare(*arguments):
    """Run `eqedge` where none of the heavy packages can be imported."""
    program = f"HEAVY = {HEAVY}\n{BARE}"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def commands(command=cli, path=()):
    """Yield (names, command) for every command below."""
    for name, inner in getattr(command, "commands", {}).items():
        yield (*path, name), inner
        yield from commands(inner, (*path, name))


COMMANDS = dict(commands())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--help"], "Earthquake detection on embedded seismometer nodes"),
        (["--version", "-v"], "ai-edge-litert"),
        (["models"], "leqnet_gru"),
        (["run", "--sim", DEMO_FILE, "--traces", "1", "--speed", "max"], "played 1 traces"),
        (["bench", "--repeats", "3", "--minutes", "0"], "times real time"),
        *[([*names, "--help"], "Usage: eqedge") for names in COMMANDS],
    ],
)
def test_a_node_needs_none_of_the_heavy_packages(arguments, text):
    """Each of these works where TensorFlow and the rest are absent."""
    result = bare(*arguments)
    assert result.returncode == 0, result.stderr
    assert text in result.stdout + result.stderr


def test_the_bare_install_is_the_node():
    """Nothing heavy is a dependency; it is in the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = " ".join(project["dependencies"])
    assert not [name for name in HEAVY if name in needed]
    assert any("tensorflow" in name for name in project["optional-dependencies"]["convert"])


def test_a_live_node_does_not_carry_hdf5():
    """Only a simulation reads files; on a small board that is a seventh of its memory."""
    program = "import sys, eqedge.__main__; from eqedge.edge import daemon, sources; "
    program += "from eqedge.edge.delivery import outputs, waveforms; "
    program += "from eqedge.edge.health import liveness, monitor; "
    program += "from eqedge.edge.settings import flags; "
    program += "sys.exit('h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=300, check=False).returncode == 0


def test_import_contracts():
    """The floors of pyproject.toml hold: data flows one way, the device stays light."""
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help(names):
    """--help describes each of them."""
    command = COMMANDS[names]
    assert command.help
    assert command.help.splitlines()[0].rstrip().endswith(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_every_command_stands_in_the_readme():
    """By its name as one types it."""
    readme = (ROOT / "README.md").read_text()
    assert [names for names in COMMANDS if f"eqedge {' '.join(names)}" not in readme] == []


def test_every_module_has_its_sentence():
    """The first line is a sentence."""
    for folder in ("edge", "models", "firmware_bridge", "convert"):
        for path in (ROOT / folder).rglob("*.py"):
            assert path.read_text().startswith('"""'), path
