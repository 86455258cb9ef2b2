"""Write the card beside trained weights: data, teachers, split, scores, command, revision."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...edge.files import sha256_of, written_whole
from ...edge.signals import signals_deferred
from ...models.reading import CARD_BYTES, read_file
from ..card_text import card_text
from ..data.records import HELD_OUT_PERCENT, Index

SCHEMA = 1


@dataclass(frozen=True)
class TrainingRun:
    """What a card has of a training."""

    architecture: str
    command: Sequence[str]
    seed: int
    windows_seen: int
    seconds: float
    settings: dict[str, Any]
    teachers: Sequence[tuple[str, str, str]]
    """(file name, sha256, licence) of each."""
    scored_records: int
    """Held-out ones behind the scores."""
    scores: dict[str, Any] | None
    """By the name of the threshold set; None where no earthquake is held out."""
    revision: str | None
    """Of this package when the training began."""
    initial: Path | None = None
    """Weight file it began from; None for random weights."""
    devices: str | None = None
    """What computed it."""
    validation: dict[str, Any] | None = None
    """Loss of the weights on held-out records, the lowest of the training, and after which step."""


def plain_command(arguments: Sequence[str]) -> str:
    """A command line without anybody's folders."""
    return " ".join(Path(part).name if os.sep in part else part for part in arguments)


def write_weights(
    weights: Path, save: Callable[[Path], None], index: Index, run: TrainingRun
) -> None:
    """Write weights and their card, both whole or neither; a signal waits meanwhile.

    Args:
        weights: `NAME.weights.h5`; the card is `NAME.training.json` beside it.
        save: Writes the weights to a path.
        index: The records.
        run: What else the card has.

    Raises:
        OSError: The folder cannot be written to.
    """
    card = weights.with_name(f"{weights.name.removesuffix('.weights.h5')}.training.json")
    with (
        signals_deferred(),
        written_whole(weights, suffix=".weights.h5") as unfinished,  # Keras insists on the ending
        written_whole(card) as document,  # gets its name first: no weights are without a card
    ):
        save(unfinished)
        content = _card(card, weights.name, sha256_of(unfinished), index, run)
        document.write_text(card_text(content))


def _card(path: Path, weights: str, sha256: str, index: Index, run: TrainingRun) -> dict[str, Any]:
    """Return the content of the card at a path."""
    return {
        "schema": SCHEMA,
        "weights": weights,
        "sha256": sha256,
        "architecture": run.architecture,
        "data": _data(index),
        "split": {"by": index.split, **_split(index), "scored_records": run.scored_records},
        "skipped": dict(index.skipped),
        "teachers": [
            {"file": name, "sha256": sha256, "licence": licence}
            for name, sha256, licence in run.teachers
        ],
        "initialisation": initialisation(run.initial, path.parent) if run.initial else "random",
        "command": plain_command(run.command),
        "seed": run.seed,
        "settings": run.settings,
        "windows_seen": run.windows_seen,
        "minutes": round(run.seconds / 60, 1),
        "devices": run.devices,
        "git_revision": run.revision,
        "validation": run.validation,
        f"scores_on_held_out_{index.split}s": run.scores,
    }


def initialisation(weights: Path, folder: Path) -> dict[str, Any]:
    """Describe what a training began from: the file and, where one is beside it, its card.

    That card, and those of the trainings before it, are copied into `folder` under names of their
    own, so that the whole history stays together.
    """
    digest = sha256_of(weights)
    begun: dict[str, Any] = {"weights": weights.name, "sha256": digest, "training": None}
    base = weights.name.removesuffix(".weights.h5")
    card = weights.with_name(f"{base}.training.json")
    if card.exists():
        copy = folder / f"{base}.{digest[:8]}.training.json"
        begun["training"] = {"file": copy.name, "sha256": _copied(card, copy)}
    return begun


def _copied(card: Path, copy: Path) -> str:
    """Copy a training card and those that it names; return the sha256 of its content."""
    content = read_file(card, CARD_BYTES)
    if copy.resolve() != card.resolve():
        with written_whole(copy) as unfinished:
            unfinished.write_bytes(content)
    before = json.loads(content).get("initialisation")
    named = before.get("training") if isinstance(before, dict) else None
    if isinstance(named, dict) and "file" in named:
        _copied(card.with_name(named["file"]), copy.with_name(named["file"]))
    return hashlib.sha256(content).hexdigest()


def git_revision() -> str | None:
    """Revision of this package's checkout; None outside of one."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _split(index: Index) -> dict[str, Any]:
    """The rule, and what it holds out: stations by name, of events their number."""
    held_out = index.held_out()
    rule = f"sha256('{index.split}:' + %s), first 4 bytes mod 100 < {HELD_OUT_PERCENT} is held out"
    if index.split == "event":
        return {
            "rule": f"{rule % 'source_id'}; what has none by its station, likewise",
            "held_out_events": len({record.event for record in held_out if record.event}),
        }
    return {
        "rule": f"{rule % 'station'}; station is both codes in alphabetical order",
        "held_out_stations": sorted({record.station for record in held_out}),
    }


def _data(index: Index) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for record in index.records:
        side = "held out" if index.keeps(record) else "trained on"
        counts[Path(record.path).name, record.source, record.kind, side] += 1
    return [
        {"file": file, "source": source, "kind": kind, "side": side, "records": number}
        for (file, source, kind, side), number in sorted(counts.items())
    ]
