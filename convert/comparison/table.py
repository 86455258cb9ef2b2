"""What was measured in, the report's table (its section 5.2.3) out: text, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from ..training.outcomes import PhaseScore
from .costs import Cost
from .entrants import Entrant
from .scores import Score, Scored

COST_COLUMNS = (
    "model", "architecture", "precision", "parameters", "MMAC", "KB", "ms", "latency", "RSS MB",
)  # fmt: skip
SCORE_COLUMNS = (
    "model",
    *(f"{head} {rate}" for head in ("det", "P", "S") for rate in ("prec", "rec", "F1")),
    "P MAE s", "S MAE s", "false P/h",
)  # fmt: skip
NUMBERS_FROM = 3
"""Columns of words before those of numbers."""


@dataclass(frozen=True)
class Comparison:
    """Networks side by side.

    Attributes:
        entrants: The networks.
        costs: Of each.
        scored: On what, and how well each did.
    """

    entrants: Sequence[Entrant]
    costs: Sequence[Cost]
    scored: Scored

    def cost_rows(self) -> list[list[str]]:
        """Cells below COST_COLUMNS."""
        return [
            [
                entrant.name,
                entrant.architecture,
                entrant.precision or "-",
                _or_dash(entrant.parameters, ",d"),
                _or_dash(entrant.macs and entrant.macs / 1e6, ".2f"),
                f"{cost.size_bytes / 1000:.0f}",
                f"{cost.latency_ms:.2f}",
                f"{cost.latency_ratio:.2f}",
                f"{cost.rss_mb:.0f}",
            ]
            for entrant, cost in zip(self.entrants, self.costs, strict=True)
        ]

    def score_rows(self) -> list[list[str]]:
        """Cells below SCORE_COLUMNS."""
        return [
            [entrant.name, *_score_cells(score)]
            for entrant, score in zip(self.entrants, self.scored.scores, strict=True)
        ]

    def caption(self) -> str:
        """Say what the scores are of."""
        found = self.scored
        return (
            f"{found.events} windows of events and {found.noise} of noise, {found.stations} "
            "stations; a pick is right within 0.5 s of its label and any other is false; a "
            "detection is judged by the window, noise included. Times are of one thread, those of "
            "others on a busy machine left out; latency is over the first row's."
        )


def as_text(comparison: Comparison) -> str:
    """Return it for a terminal."""
    return "\n".join(
        [
            *_aligned([list(COST_COLUMNS), *comparison.cost_rows()], NUMBERS_FROM),
            "",
            *_aligned([list(SCORE_COLUMNS), *comparison.score_rows()], 1),
            "",
            comparison.caption(),
        ]
    )


def as_markdown(comparison: Comparison) -> str:
    """Return two tables and what they are of."""
    return "\n".join(
        [
            *_piped(COST_COLUMNS, comparison.cost_rows(), NUMBERS_FROM),
            "",
            *_piped(SCORE_COLUMNS, comparison.score_rows(), 1),
            "",
            comparison.caption(),
            "",
        ]
    )


def as_csv(comparison: Comparison) -> str:
    """Return one row a network, numbers without thousands' separators."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COST_COLUMNS, *SCORE_COLUMNS[1:]])
    for cost, score in zip(comparison.cost_rows(), comparison.score_rows(), strict=True):
        cells = [*cost[:NUMBERS_FROM], *(c.replace(",", "") for c in [*cost[3:], *score[1:]])]
        writer.writerow(["" if cell == "-" else cell for cell in cells])
    return out.getvalue()


def _score_cells(score: Score) -> list[str]:
    heads: tuple[PhaseScore, ...] = (score.detection, score.P, score.S)
    rates = [f"{rate:.3f}" for h in heads for rate in (h.precision, h.recall, h.f1)]
    residuals = [_or_dash(h.mean_absolute_s, ".3f") for h in heads[1:]]
    return [*rates, *residuals, _or_dash(score.false_p_per_hour, ".1f")]


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _aligned(rows: Sequence[Sequence[str]], numbers_from: int) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if k < numbers_from else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _piped(head: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int) -> list[str]:
    rule = ["---" if k < numbers_from else "---:" for k in range(len(head))]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
