"""Read a node's settings from a TOML file; print such a file with every setting explained."""

from __future__ import annotations

import dataclasses
import difflib
import json
import logging
import textwrap
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ... import reason_of
from ...models.reading import read_file
from .documented import help_of
from .node import Settings
from .validation import SettingsError

logger = logging.getLogger(__name__)

CONFIG_BYTES = 1 << 20
"""Largest config that is read."""
WIDTH = 100
"""Of a line that explains a setting."""
RENAMED = {"snippets": "waveforms"}
"""Former name of a table, or `table.key`, -> its name today, in the same table.

A former name is read for one release, with a warning; the next release removes its line here.
"""


def read_config(path: Path) -> Settings:
    """Read a file; settings that are not in it have their defaults.

    Raises:
        SettingsError: It cannot be read, is not TOML, or has an unknown setting; the one with the
            most similar name is suggested.
    """
    settings: Settings = _build(Settings, _tables(path), f"config {path}", "", _raise)
    return settings


def settings_and_problems(path: Path) -> tuple[Settings, list[str]]:
    """Read a file to its end; return what is good of it, and a line for each setting that is not.

    Raises:
        SettingsError: It cannot be read, or is not TOML.
    """
    problems: list[str] = []
    settings: Settings = _build(Settings, _tables(path), f"config {path}", "", problems.append)
    return settings, problems


def writable_by_others(path: Path) -> bool:
    """Return whether another user could change the file, and with it what the node does."""
    return bool(path.stat().st_mode & 0o022)


def reference() -> str:
    """Return a file with every setting, its default and its meaning; commented where unset."""
    lines = [
        "# eqedge run --config FILE: every setting with its default.",
        "# Options on the command line override it.",
        "",
        *_plain_lines(Settings),
    ]
    for field in dataclasses.fields(Settings):
        section, optional = section_of(Settings, field.name)
        if section is not None:
            mark = "#" if optional else ""
            lines += ["", f"{mark}[{field.name}]", *_plain_lines(section, commented=optional)]
    return "\n".join(lines) + "\n"


def _raise(problem: str) -> None:
    raise SettingsError(problem)


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_file(path, CONFIG_BYTES, pipe=True).decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"config {path}: {reason_of(error)}; name a TOML file") from error
    except (ValueError, RecursionError) as error:  # also of numbers and nesting without end
        raise SettingsError(f"config {path}: not TOML ({error})") from error


def _build(
    cls: Any, table: Mapping[str, Any], where: str, prefix: str, reject: Callable[[str], None]
) -> Any:
    """Return a frozen dataclass with the values of a table.

    Args:
        cls: The dataclass.
        table: Its values by name.
        where: Beginning of each problem.
        prefix: Of the names of its settings.
        reject: Takes each problem; if it returns, the rest of the table is read all the same, and
            what was rejected has its default; None where there is none.
    """
    known = {field.name: field for field in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    try:
        current = _current_names(table, where, prefix)
    except SettingsError as error:
        reject(str(error))
        current = dict(table)
    for key, value in current.items():
        name = f"{prefix}{key}"
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            reject(f"{where}: {name} is not a setting; did you mean {prefix}{near[0]}?")
            continue
        section, _ = section_of(cls, key)
        try:
            if section is None:
                values[key] = _checked(value, _kinds(cls, key), where, name)
            elif isinstance(value, dict):
                values[key] = _build(section, value, where, f"{name}.", reject)
            else:
                reject(f"{where}: {name} is a table; write [{name}]")
        except SettingsError as error:
            reject(str(error))
    missing = [
        name
        for name, field in known.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        reject(f"{where}: {prefix}{missing[0]} is missing")
        values |= dict.fromkeys(missing, "unnamed")  # the rest is checked all the same
    return _validated(cls, values, reject)


def _validated(cls: Any, values: dict[str, Any], reject: Callable[[str], None]) -> Any:
    """Make the dataclass; where it rejects a value, report each, and leave these at the default."""
    try:
        return cls(**values)
    except SettingsError as error:
        first = str(error)
    required = {
        field.name: values[field.name]
        for field in dataclasses.fields(cls)
        if field.name in values and field.default is field.default_factory is dataclasses.MISSING
    }
    good: dict[str, Any] = dict(required)
    found = []
    for name, value in values.items():
        try:
            cls(**{**good, name: value})
        except SettingsError as error:
            found.append(str(error))
        else:
            good[name] = value
    for problem in dict.fromkeys(found or [first]):
        reject(problem)
    try:
        return cls(**good)
    except SettingsError:  # a required value is the wrong one
        return None


def _current_names(table: Mapping[str, Any], where: str, prefix: str) -> dict[str, Any]:
    """Return the table with the names of today; log a warning for each former one."""
    current = dict(table)
    for key in table:
        former = f"{prefix}{key}"
        name = RENAMED.get(former)
        if name is None:
            continue
        new_key = name.removeprefix(prefix)
        if new_key in table:
            raise SettingsError(f"{where}: {former} and {name} are one setting; keep {name}")
        current[new_key] = current.pop(key)
        logger.warning(
            "%s: %s is now called %s; the next release will not read %s",
            where,
            former,
            name,
            former,
        )
    return current


def _checked(value: Any, kinds: tuple[type, ...], where: str, name: str) -> Any:
    if type(value) is int and value.bit_length() > 63:
        raise SettingsError(f"{where}: {name} is too large a number")
    if float in kinds and type(value) is int:
        return float(value)
    if type(value) not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
        raise SettingsError(f"{where}: {name} is {_shown(value)}, expected {wanted}")
    if isinstance(value, str) and any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise SettingsError(f"{where}: {name} contains a control character; remove it")
    return value


def _shown(value: Any) -> str:
    try:
        return repr(value)[:100]
    except ValueError:  # Python prints no number of thousands of digits
        return "a number of thousands of digits"


def _kinds(cls: Any, name: str) -> tuple[type, ...]:
    """Return the types a setting may have, with NoneType where it may be unset."""
    hint = typing.get_type_hints(cls)[name]
    if typing.get_origin(hint) is typing.Literal:
        return (str,)  # the section itself checks which strings
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def section_of(cls: Any, name: str) -> tuple[Any, bool]:
    """Return the dataclass that a setting is, None for a plain one; and whether it may be unset."""
    kinds = _kinds(cls, name)
    section = next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)
    return section, type(None) in kinds


def _plain_lines(cls: Any, *, commented: bool = False) -> list[str]:
    lines = []
    for field in dataclasses.fields(cls):
        if section_of(cls, field.name)[0] is not None:
            continue
        lines += [
            f"# {line}" for line in textwrap.wrap(help_of(field), WIDTH - 2, break_on_hyphens=False)
        ]
        default = None if field.default is dataclasses.MISSING else field.default
        mark = "#" if commented or default is None else ""
        lines.append(f"{mark}{field.name} = {json.dumps(default) if default is not None else ''}")
    return lines
