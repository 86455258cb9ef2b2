"""Write an agreement as a table of its heads."""

from __future__ import annotations

from ..tables import markdown_table
from .agreement import Agreement


def agreement_table(agreement: Agreement) -> list[str]:
    """Return the rows of the heads; shifts are in samples."""
    header = ("head", "max error", "mean error", "kept", "lost", "added")
    rows = (
        (
            name,
            f"{head.max_error:.3f}",
            f"{head.mean_error:.5f}",
            f"{head.kept} ({head.kept_fraction:.1%})",
            head.lost,
            head.added,
            _samples(head.shift_median_samples),
            _samples(head.shift_p95_samples),
        )
        for name, head in agreement.heads.items()
    )
    return markdown_table((*header, "shift median", "shift p95"), rows)


def _samples(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
