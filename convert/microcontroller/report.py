"""Write what a person must know of a model before it goes onto a microcontroller."""

from __future__ import annotations

from collections.abc import Mapping

from ..proof.agreement_table import agreement_table
from ..tables import markdown_table
from .proof import MicroModel

_SPELLED = {"BATCH_MATMUL": "BatchMatMul", "CUMSUM": "CumSum"}
"""Operations whose resolver has another spelling than their name."""


def resolver_calls(operations: Mapping[str, int]) -> list[str]:
    """Name the resolver's method for each operation: `AddConv2D` for CONV_2D."""
    return [
        "Add" + _SPELLED.get(name, "".join(map(_word, name.split("_"))))
        for name in sorted(operations)
    ]


def render(micro: MicroModel) -> str:
    """Write the Markdown report of one model."""
    found = micro.agreement
    verdict = (
        "It agrees with LiteRT within the limit."
        if micro.refusal is None
        else f"**It misses the limit** and was written with --force: {micro.refusal}."
    )
    loops = ", ".join(f"{rounds} rounds" for rounds in micro.loops) or "none"
    arena = f"{micro.arena_bytes:,} bytes in tflite-micro on this machine"
    facts = {
        "model": f"{len(micro.data):,} bytes of flash",
        "arena": f"{arena}, where pointers have 8 bytes",
        "operations to register": len(resolver_calls(micro.operations)),
        "recurrences rolled into loops": loops,
    }
    newline = "\n"
    return f"""\
# {micro.name}

Of {micro.source.name}, sha256 `{micro.source.sha256}`. {verdict}

{newline.join(markdown_table(("", ""), facts.items()))}

The same {found.windows} windows through TensorFlow Lite for Microcontrollers (this model) and
LiteRT ({micro.source.name}). Both round to int8, not in the same places.

{newline.join(agreement_table(found))}

Shifts are in samples; a detection's is that of its start. Newly detected windows of noise:
{found.noise_added} of {found.noise_windows}.

Operations: {", ".join(f"{op} {count}" for op, count in sorted(micro.operations.items()))}.
"""


def _word(part: str) -> str:
    return part if part[0].isdigit() else part.capitalize()
