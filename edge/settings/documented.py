"""Make a field of the settings that carries its own description."""

from __future__ import annotations

from dataclasses import Field, field
from typing import Any, TypeVar

Value = TypeVar("Value")


def setting(default: Value, help: str) -> Value:
    """Return a field with this default; `--print-config` prints the help above it."""
    return field(default=default, metadata={"help": help})


def help_of(one: Field[Any]) -> str:
    """Return a field's description; empty where it has none."""
    return str(one.metadata.get("help", ""))
