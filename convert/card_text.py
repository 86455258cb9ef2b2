"""Write a card as JSON that fits on a screen: plain values share lines."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 100


def card_text(card: dict[str, Any]) -> str:
    """Return JSON, one line for each of the card's own fields that fits on one.

    Raises:
        ValueError: A number is not finite.
    """
    entries = [_entry(f"{json.dumps(key)}: ", value, 1) for key, value in card.items()]
    return "{\n " + ",\n ".join(entries) + "\n}\n"


def _entry(key: str, value: Any, indent: int) -> str:
    """Return a value with its key (empty in a list) in front, at an indent."""
    flat = key + _flat(value)
    if not isinstance(value, dict | list) or not value or indent + len(flat) < WIDTH:
        return flat
    inner = indent + 1
    if isinstance(value, dict):
        named = [(f"{json.dumps(name)}: ", one) for name, one in value.items()]
    else:
        named = [("", one) for one in value]
    if any(isinstance(one, dict | list) for _, one in named):
        lines = [_entry(name, one, inner) for name, one in named]
    else:
        lines = _packed([name + _flat(one) for name, one in named], inner)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    body = f",\n{' ' * inner}".join(lines)
    return f"{key}{opening}\n{' ' * inner}{body}\n{' ' * indent}{closing}"


def _flat(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _packed(entries: list[str], indent: int) -> list[str]:
    """Put as many entries on a line as fit."""
    lines: list[str] = []
    for entry in entries:
        if lines and indent + len(lines[-1]) + len(entry) + 3 < WIDTH:
            lines[-1] += f", {entry}"
        else:
            lines.append(entry)
    return lines
