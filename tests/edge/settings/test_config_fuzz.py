"""The settings parser on any bytes: it returns settings, or raises one line of error.

More with EQEDGE_FUZZ=100 in the environment.
"""

import dataclasses
import os
import re

from eqedge.edge.settings.config import read_config, reference
from eqedge.edge.settings.node import Settings
from eqedge.edge.settings.validation import SettingsError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("EQEDGE_FUZZ", "1"))
LINES = re.sub(r"(?m)^#(\w+ = |\[)", r"\1", reference()).splitlines()
"""The whole reference, with its commented lines too."""
KEYS = sorted({line.split(" = ")[0] for line in LINES if " = " in line})
VALUES = st.one_of(
    st.sampled_from(["nan", "inf", "-inf", "0x10", "1979-05-27", "[]", "{}", "[[]]", "''", "true"]),
    st.integers(-(10**30), 10**30).map(str),
    st.integers(0, 6000).map(lambda digits: "1" + "0" * digits),
    st.integers(1, 6000).map(lambda digits: "0x" + "f" * digits),
    st.floats().map(repr),
    st.text(max_size=20).map(lambda text: '"' + text.replace("\\", "").replace('"', "") + '"'),
)


def outcome(tmp_path_factory, data):
    """Read the bytes as a config; return the settings or the error's line."""
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(data)
    try:
        return read_config(path)
    except SettingsError as error:
        assert "\n" not in str(error)
        assert str(error)
        return str(error)


fuzz = settings(
    max_examples=250 * TIMES,
    deadline=None,
    derandomize=TIMES == 1,
    suppress_health_check=[HealthCheck.too_slow],
)


@fuzz
@given(
    data=st.binary(max_size=300) | st.text(max_size=300).map(lambda s: s.encode("utf-8", "ignore"))
)
def test_any_bytes(tmp_path_factory, data):
    """Any bytes give settings or an error."""
    outcome(tmp_path_factory, data)


@fuzz
@given(st.lists(st.tuples(st.sampled_from(range(len(LINES))), VALUES), min_size=1, max_size=4))
def test_a_reference_with_spoilt_values(tmp_path_factory, spoilt):
    """Any value in place of any default is read, or rejected with a line."""
    lines = list(LINES)
    for number, value in spoilt:
        key, given_, _ = lines[number].partition(" = ")
        if given_:
            lines[number] = f"{key} = {value}"
    found = outcome(tmp_path_factory, "\n".join(lines).encode())
    if isinstance(found, Settings):
        for part in vars(found).values():
            assert part is None or isinstance(part, str) or dataclasses.is_dataclass(part)


@fuzz
@given(
    st.dictionaries(
        st.sampled_from(KEYS) | st.text("abc_.-", min_size=1, max_size=12), VALUES, max_size=4
    ),
    st.sampled_from(["", *(f.name for f in dataclasses.fields(Settings)), "no.such", "mqtt.tls"]),
)
def test_keys_in_any_table(tmp_path_factory, pairs, table):
    """A key in a wrong place is named, with the most similar setting."""
    lines = [f"[{table}]"] if table else []
    lines += [f"{key} = {value}" for key, value in pairs.items()]
    outcome(tmp_path_factory, "\n".join(lines).encode())
