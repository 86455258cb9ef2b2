"""The TOML file: every setting is in it, checked and explained."""

import dataclasses
import tomllib

import pytest
from eqedge.edge.settings.config import RENAMED, read_config, reference, writable_by_others
from eqedge.edge.settings.delivery import MqttSettings
from eqedge.edge.settings.node import Settings
from eqedge.edge.settings.validation import SettingsError


def write(tmp_path, text):
    """Write a config file."""
    path = tmp_path / "eqedge.toml"
    path.write_text(text)
    return path


def test_an_empty_file_is_the_defaults(tmp_path):
    """A setting that the file does not have keeps its default."""
    assert read_config(write(tmp_path, "")) == Settings()


def test_the_reference_reads_back_as_the_defaults(tmp_path):
    """What --print-config prints is a valid file, and changes nothing."""
    assert read_config(write(tmp_path, reference())) == Settings()


def test_the_reference_names_and_explains_every_setting():
    """No setting is missing from the reference, and each has its meaning above it."""
    lines = reference().splitlines()
    sections = [Settings, MqttSettings]
    sections += [
        type(getattr(Settings(), field.name))
        for field in dataclasses.fields(Settings)
        if dataclasses.is_dataclass(getattr(Settings(), field.name))
    ]
    for cls in sections:
        for field in dataclasses.fields(cls):
            places = [
                n for n, line in enumerate(lines) if line.lstrip("#").startswith(f"{field.name} =")
            ]
            if not places:
                assert any(line.strip("#") == f"[{field.name}]" for line in lines), field.name
            else:
                assert all(lines[n - 1].startswith("# ") for n in places), field.name


def test_the_commented_sections_read_too(tmp_path):
    """Without its comment marks the MQTT section gives settings that only lack the host."""
    text = reference()
    section = text[text.index("#[mqtt]") :].split("\n\n")[0]
    lines = [line[1:] for line in section.splitlines() if not line.startswith("# ")]
    bare = "\n".join(line for line in lines if not line.rstrip().endswith("="))
    with pytest.raises(SettingsError, match=r"mqtt\.host is missing"):
        read_config(write(tmp_path, bare))
    named = bare.replace("[mqtt]", '[mqtt]\nhost = "broker"')
    assert tomllib.loads(named)["mqtt"]["host"] == "broker"
    assert read_config(write(tmp_path, named)).mqtt == MqttSettings("broker")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trigger]\nP_treshold = 0.5", r"P_treshold is not a setting; .*trigger\.P_threshold"),
        ("modell = 'x'", "modell is not a setting; did you mean model"),
        ("[window]\nhop_seconds = '1'", r"window\.hop_seconds is '1', expected float"),
        ("window = 3", r"window is a table; write \[window\]"),
        ("[window]\nhop_seconds = 0", "hop 0.0 s: use 0.05 to 60"),
        ("[station]\nstation = '../x'", "station code"),
        ('output = "a\\u0000b"', "output contains a control character"),
        ('model = "a\\u0000b"', "model contains a control character"),
        ('[sensor]\nport = "a\\u0000b"', r"sensor\.port contains a control character"),
        ('[health]\njson_file = "a\\nb"', r"health\.json_file contains a control character"),
        ('[mqtt]\nhost = "bob:secret@h"', "MQTT host must be a name or an address alone"),
        ("a b", "not TOML"),
        (f"a = {'9' * 5000}", "not TOML"),
        (f"a = {'[' * 5000}", "not TOML"),
        (f"window.hop_seconds = 0x{'f' * 5000}", "hop_seconds is too large a number"),
        (f"health.http_port = 1{'0' * 400}", "http_port is too large a number"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message):
    """Each mistake gives one line that names the setting and the remedy."""
    with pytest.raises(SettingsError, match=message) as caught:
        read_config(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_setting(tmp_path):
    """Editors of Windows write one before UTF-8."""
    path = tmp_path / "node.toml"
    path.write_text('output = "x.jsonl"\r\n', encoding="utf-8-sig")
    assert read_config(path).output == "x.jsonl"


def test_a_missing_file_is_named(tmp_path):
    """A path without a file gives the reason."""
    with pytest.raises(SettingsError, match="No such file"):
        read_config(tmp_path / "none.toml")


def test_a_file_that_others_may_write_is_noticed(tmp_path):
    """The node can warn of a config file that another user may change."""
    path = write(tmp_path, "")
    path.chmod(0o600)
    assert not writable_by_others(path)
    path.chmod(0o666)
    assert writable_by_others(path)


def test_a_former_name_is_read_with_a_warning(tmp_path, caplog):
    """The table of waveforms under the name it had: read, and the new name is in the log."""
    caplog.set_level("WARNING", logger="eqedge")
    path = write(tmp_path, '[snippets]\nfolder = "/waves"\n')
    assert read_config(path).waveforms.folder == "/waves"
    (line,) = caplog.messages
    assert line.startswith(f"config {path}: snippets is now called waveforms; ")


def test_a_former_name_of_one_setting_is_read_too(tmp_path, caplog, monkeypatch):
    """Within its table, and without a warning where the file has today's name."""
    caplog.set_level("WARNING", logger="eqedge")
    monkeypatch.setitem(RENAMED, "window.step_seconds", "window.hop_seconds")
    assert read_config(write(tmp_path, "[window]\nhop_seconds = 3.0")).window.hop_seconds == 3.0
    assert not caplog.messages
    assert read_config(write(tmp_path, "[window]\nstep_seconds = 2.0")).window.hop_seconds == 2.0
    assert "window.step_seconds is now called window.hop_seconds" in caplog.messages[0]


def test_a_former_name_beside_todays_is_an_error(tmp_path):
    """To choose one of the two would be a guess."""
    text = '[snippets]\nfolder = "/a"\n[waveforms]\nfolder = "/b"\n'
    with pytest.raises(SettingsError, match="snippets and waveforms are one setting; keep wave"):
        read_config(write(tmp_path, text))


def test_each_former_name_leads_to_a_setting():
    """The table of former names names settings that exist, in the same table."""
    known = [line.lstrip("#") for line in reference().splitlines()]
    for former, name in RENAMED.items():
        table, _, key = name.rpartition(".")
        assert former.rpartition(".")[0] == table
        assert f"[{key}]" in known or any(line.startswith(f"{key} =") for line in known)
