"""Make the form of an int8 model for microcontrollers, and measure it in their interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...edge.detector import Detector
from ...models.registry import Model
from ..data.windows import WindowSet
from ..progress import OnProgress
from ..proof.agreement import Agreement, AgreementLimit, disagreement
from ..proof.verify import compare_detectors
from ..quantization.flatbuffer import compact, contents, open_flatbuffer, pack_flatbuffer
from .fitting import fit, prune
from .interpreter import MicroDetector, smallest_arena
from .loops import roll
from .tiles import tile

LIMIT = AgreementLimit(
    kept_fraction=0.95,
    added_fraction=0.05,
    shift_median_samples=1.0,
    shift_p95_samples=10.0,
    noise_added=0.02,
    f1_lost_points=2.5,
)
"""Between two interpreters of one int8 model: both round, but not in the same places. Half of what
int8 may lose against float: with two hundred labels a point of F1 may be chance."""


@dataclass(frozen=True)
class MicroModel:
    """One model as microcontrollers take it.

    Attributes:
        source: The int8 model it was made of.
        data: The flatbuffer.
        operations: How many of each builtin operation, all graphs together.
        loops: Rounds of each recurrence that became a loop.
        arena_bytes: Smallest arena that it runs in on this machine.
        agreement: Of TensorFlow Lite for Microcontrollers with LiteRT on `source`.
        refusal: Why it must not be written without --force, or None.
    """

    source: Model
    data: bytes
    operations: Mapping[str, int]
    loops: tuple[int, ...]
    arena_bytes: int
    agreement: Agreement
    refusal: str | None

    @property
    def name(self) -> str:
        """Beginning of the names of its files."""
        return f"{self.source.name}_tflm"

    @property
    def summary(self) -> str:
        """One line: name, size, arena, agreement."""
        kept = ", ".join(
            f"{head} {found.kept}/{found.kept + found.lost} kept"
            for head, found in self.agreement.heads.items()
        )
        return (
            f"{self.name}_model.c: {len(self.data):,} bytes, arena {self.arena_bytes:,}, {kept} "
            "of LiteRT's" + (f"; written although {self.refusal}" if self.refusal else "")
        )


def rewritten(data: bytes) -> tuple[bytes, tuple[int, ...]]:
    """Rewrite a model for microcontrollers; what it computes stays the same to the last bit.

    Recurrences become loops, attention of all steps to all steps is made in blocks, and no
    operation has more inputs than the kernels take. LiteRT runs the result too.

    Returns:
        The flatbuffer, and the rounds of each loop.
    """
    model = open_flatbuffer(data)
    loops = roll(model)
    tile(model)
    fit(model)
    prune(model)
    counts = tuple(recurrence.repeat.count for recurrence in loops)
    return compact(pack_flatbuffer(model)), counts


def prove(source: Model, windows: WindowSet, progress: OnProgress | None = None) -> MicroModel:
    """Rewrite a model, find its arena and compare it with LiteRT's run of the model it came from.

    Args:
        source: An int8 model; its input and outputs may be float32.
        windows: Prepared windows that calibration did not use.
        progress: Called with what is done, how much of it, and of how much.

    Raises:
        MicroError: The interpreter is missing or does not take the model.
    """
    data, loops = rewritten(source.data)
    arena = smallest_arena(data)
    detectors = (Detector(source), MicroDetector(data, arena))
    agreement = compare_detectors(source.spec, detectors, windows, progress)
    return MicroModel(
        source=source,
        data=data,
        operations=contents(data).operations,
        loops=loops,
        arena_bytes=arena,
        agreement=agreement,
        refusal=disagreement(agreement, LIMIT),
    )
