"""Write the files of a conversion: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from .. import reason_of
from ..edge.files import written_whole
from ..edge.signals import signals_deferred
from .card import card
from .card_text import card_text
from .conversion import ConversionReport
from .inputs import OutputError
from .microcontroller.sources import sources
from .report import render


def write_all(report: ConversionReport) -> None:
    """Write every file under a temporary name; once all are there, rename them.

    The card comes last: a model without its card is refused by the node, so a set that a kill -9
    or a power cut left between two renames cannot run.
    """
    folder = report.settings.output
    try:
        with ExitStack() as waiting:
            for name, content in reversed(list(_contents(report))):  # the last is renamed first
                waiting.enter_context(written_whole(folder / name)).write_bytes(content)
            with signals_deferred():
                waiting.close()
    except OSError as error:
        raise OutputError(
            f"output {folder}: {reason_of(error)}; free space or name another folder"
        ) from error


def _contents(report: ConversionReport) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file."""
    folder = report.settings.output
    for training in report.origin.cards():  # the models' cards name the first, it names the next
        if training.path.parent.resolve() != folder.resolve():
            yield training.path.name, training.path.read_bytes()
    if report.micro is not None:
        yield from sources(report.micro).items()
    for result in report.converted:
        document = card_text(card(report, result))
        yield f"{result.name}.md", render(report, result).encode()
        yield f"{result.name}.tflite", result.data
        yield f"{result.name}.json", document.encode()
