"""Check the names of the files that a node reads and writes."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..files import NAME_BYTES
from ..options import PathError, check_names
from .node import Settings

LONGEST_ENDING = ".spool-journal"
"""What is added at most to the name of an output."""


def impossible_names(settings: Settings) -> Iterator[str]:
    """Yield a line for each name that no file can have."""
    for setting, name in _names(settings):
        try:
            check_names([name])
        except PathError as error:
            yield f"{setting} {error}"
        else:
            longest = os.path.basename(f"{name}{LONGEST_ENDING}")
            if setting == "output" and name and len(os.fsencode(longest)) > NAME_BYTES:
                yield f"output {name}: too long a name to add {LONGEST_ENDING}; use another"


def _names(settings: Settings) -> Iterator[tuple[str, str | None]]:
    yield "model", settings.model
    yield "output", settings.output
    for title in ("waveforms", "health", "mqtt"):
        section = getattr(settings, title)
        for name, value in vars(section).items() if section is not None else ():
            if name.endswith(("_file", "folder")):
                yield f"{title} {name}", value
