"""Every option and argument that names a file, with names and files that cannot be used."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import click
import pytest
from click.testing import CliRunner
from eqedge import EqedgeError
from eqedge.__main__ import cli
from eqedge.convert.console import run_with_one_line_errors
from eqedge.edge.replay.sample import DEMO_FILE
from eqedge.models import reading
from eqedge.models.registry import DEFAULT_MODEL, weights_folder

WEIGHTS = weights_folder() / "leqnet_gru.weights.h5"
LIMIT_SECONDS = 300
"""Of a command, on a busy machine; each is refused before its work."""
GIVEN = {
    "run": ["--sim", DEMO_FILE, "--traces", "1", "--speed", "max", "--output", "o.jsonl"],
    "events": ["t.jsonl"],
    "config check": ["c.toml"],
    "install-service": ["--serial", "/dev/ttyACM0", "--root", "root", "--dry-run"],
    "sensor record": ["loop://", "r.hdf5", "--seconds", "0.1"],
    "sensor watch": ["loop://", "--seconds", "0.1"],
    "sensor check": ["loop://", "--seconds", "0.1"],
    "sensor simulate": [DEMO_FILE, "--tcp", "0"],
    "sensor waveform": [DEMO_FILE, "w.eqw"],
    "sample": ["f.hdf5", "--events", "1", "--noise", "0"],
    "bench": ["--repeats", "3", "--minutes", "0"],
    "convert": ["--weights", WEIGHTS, "--calibration", DEMO_FILE, "--output", "out"],
    "compare": [DEFAULT_MODEL, "--data", DEMO_FILE],
    "train": ["--data", DEMO_FILE, "--output", "out", "--steps", "1"],
    "evaluate": ["--weights", DEFAULT_MODEL, "--data", DEMO_FILE],
    "plot trace": [DEMO_FILE, "--output", "p.png"],
    "plot grid": ["t.jsonl", "--data", DEMO_FILE, "--output", "p.png"],
    "plot residuals": ["s.json", "--output", "p.png"],
    "plot precision-recall": ["s.json", "--output", "p.png"],
    "plot onset": ["s.json", "--output", "p.png"],
    "plot learning": ["folder", "--output", "p.png"],
}
"""What each command needs beside the option that is tried."""
OTHER_NAMES = {"--model", "--against", "networks", "--weights"}
"""Names of models, or of files."""
NAMES = ["n" * 300, "no/such/folder/f", "t.jsonl/f", "loop"]
FILES = ["folder", "socket", "pipe", "/dev/zero", "noise"]
IMPOSSIBLE = {"n" * 300, "loop"}
"""Names that no file can have."""
KEPT = {("train", "--labels"), ("evaluate", "--labels")}
"""Folders that are made where a teacher is given."""
FOLDERS = {
    ("convert", "--output"), ("train", "--output"),
    ("install-service", "--root"), ("plot learning", "folder"),
}  # fmt: skip
"""Where a folder is right, or one that is made."""
WRITTEN = {
    ("compare", "--csv"), ("compare", "--markdown"), ("compare", "--chart"),
    ("evaluate", "--markdown"),
}  # fmt: skip
"""Where a file or a device is right, so that all the work would be done."""


def is_right(command, option, value):
    """Return whether the command accepts the value."""
    if (command, option) in KEPT:
        return value not in IMPOSSIBLE
    if (command, option) in FOLDERS:
        return value in ("folder", "no/such/folder/f")
    return (command, option) in WRITTEN and value in ("/dev/zero", "noise")


def leaves(command, path=()):
    """Yield the name and the command of every command that does something."""
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from leaves(one, (*path, name))
    else:
        yield " ".join(path), command


def options_of_files():
    """Yield (command, option or argument) of everything that names a file."""
    for name, command in leaves(cli):
        for parameter in command.params:
            first = parameter.opts[0]
            if isinstance(parameter.type, click.Path) or first in OTHER_NAMES:
                yield name, first


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with one file of each kind that is not what a command reads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reading, "WRITER_SECONDS", 0.1)
    monkeypatch.setattr("eqedge.edge.delivery.file.READER_SECONDS", 0.1)
    (tmp_path / "folder").mkdir()
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 16)
    (tmp_path / "t.jsonl").touch()
    (tmp_path / "s.json").write_text("{}")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        yield tmp_path


def arguments(command, option, value):
    """Return the command line with this value in its place."""
    words = list(map(str, GIVEN.get(command, [])))
    parameters = dict(leaves(cli))[command].params
    positions = [p.opts[0] for p in parameters if isinstance(p, click.Argument)]
    if option in positions:
        words[positions.index(option)] = value
    elif option in words:
        words[words.index(option) + 1] = value
    else:
        words += [option, value]
    return [*command.split(), *words]


def run(words):
    """Run a command in this process; return its exit code and what it printed."""

    def too_long(*_):
        raise AssertionError(f"no end of {words}")

    earlier = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT_SECONDS)
    try:
        result = CliRunner().invoke(cli, words)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, earlier)
    if isinstance(result.exception, EqedgeError):
        return result.exception.exit_code, str(result.exception)
    if not isinstance(result.exception, SystemExit | None):
        raise AssertionError(f"{words}: {result.exception!r}") from result.exception
    return result.exit_code, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        pytest.param(*pair, value, id=f"{' '.join(pair)} {value[:20]}")
        for pair in options_of_files()
        for value in NAMES + FILES
        if not is_right(*pair, value)
    ],
)
def test_a_name_that_cannot_be_used(here, command, option, value):
    """It is refused in one line, or the command does without it; nothing is raised or hangs."""
    code, text = run(arguments(command, option, value))
    assert code in (0, 1, 2)
    if code == 2:
        assert len(text.strip().splitlines()) <= 4, text  # click adds its usage
    assert os.path.islink("loop") and not os.path.isfile("pipe") and os.path.exists("/dev/zero")


@pytest.mark.parametrize("name", ["n" * 300, "loop"])
def test_names_in_a_config(here, name):
    """Those of all files of the settings, before any is opened; a NUL can stand only here."""
    for table, key in [
        ("", "output"), ("", "model"), ("[waveforms]", "folder"), ("[health]", "json_file"),
        ("[health]", "prometheus_file"), ('[mqtt]\nhost = "h"', "credentials_file"),
        ('[mqtt]\nhost = "h"\ntls = true', "ca_file"),
    ]:  # fmt: skip
        (here / "c.toml").write_text(f'{table}\n{key} = "{name}"\n')
        code, text = run(["run", "--sim", str(DEMO_FILE), "--config", "c.toml"])
        assert code == 2 and name in text and len(text.splitlines()) == 1
        (here / "c.toml").write_text(f'{table}\n{key} = "a\\u0000b"\n')
        code, text = run(["run", "--sim", str(DEMO_FILE), "--config", "c.toml"])
        assert code == 2 and "contains a control character; remove it" in text


@pytest.mark.parametrize(
    ("words", "file", "limit"),
    [
        (["run", "--serial", "loop://", "--config", "big"], "config big", 1 << 20),
        (["bench", "--model", "big"], "model big", 1 << 28),
        (["plot", "onset", "big", "--output", "p.png"], "big", 1 << 28),
    ],
)
def test_what_is_larger_than_its_limit(here, words, file, limit):
    """File, size and limit are named; a file with holes takes no disk."""
    with open("big", "wb") as big:
        big.truncate(limit + 1)
    code, text = run(words)
    assert code == 2
    assert f"{file}: too large ({limit + 1:,} bytes or more; at most {limit:,} are read)" in text


def test_a_card_that_is_too_large(here):
    """The model is small, its card is not."""
    (here / "m.tflite").write_bytes((weights_folder() / f"{DEFAULT_MODEL}.tflite").read_bytes())
    with open("m.json", "wb") as card:
        card.truncate(reading.CARD_BYTES + 1)
    code, text = run(["bench", "--model", "m.tflite"])
    assert code == 2 and "model card m.json: too large (8,388,609 bytes" in text


@pytest.mark.parametrize(
    "words",
    [
        ["doctor", "--model", b"f\xff"],
        ["install-service", "--serial", "p", "--dry-run", "--program", b"/f\xff"],
        ["sensor", "waveform", DEMO_FILE, b"f\xff"],
        ["run", "--sim", DEMO_FILE, "--traces", "1", "--speed", "max", "--output", b"f\xff"],
    ],
)
def test_a_name_that_is_not_text(here, words):
    """Its bytes are printed where it is printed, also where standard output is UTF-8."""
    environment = os.environ | {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "eqedge", *words], capture_output=True, env=environment
    )
    assert done.returncode in (0, 1), done.stderr
    assert b"Traceback" not in done.stderr
    assert b"f\xff" in done.stdout or b"f\xff" in os.listdir(b".")


def test_a_config_from_a_pipe(here):
    """As from `<(command)` of a shell."""
    writer = threading.Thread(target=lambda: (here / "pipe").write_text("[station]\nx = 1\n"))
    writer.start()
    code, text = run(["run", "--serial", "loop://", "--config", "pipe"])
    writer.join()
    assert code == 2 and "station.x is not a setting" in text


def test_an_error_of_a_name_deep_inside(capsys, monkeypatch):
    """A name that a command made too long itself is one line too."""

    @click.command()
    def long():
        with suppress(FileNotFoundError):
            os.stat("n" * 300)

    monkeypatch.setattr(sys, "argv", ["long"])
    with pytest.raises(SystemExit) as ended:
        run_with_one_line_errors(long, "long")
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("n: File name too long; use another name\n")
