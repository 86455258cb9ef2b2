"""Write the report's table (its section 5.2.3): text, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from ...models.spec import HEADS
from ..data.matching import PhaseScore
from ..data.picker import Picker
from ..proof.agreement import Agreement
from ..tables import aligned_table, markdown_table
from .costs import PickerCost
from .scores import ComparisonScores, Score

COST_COLUMNS = (
    "model", "architecture", "precision", "parameters", "MMAC", "KB", "ms", "latency", "RSS MB",
)  # fmt: skip
SCORE_COLUMNS = (
    "model",
    *(f"{head} {rate}" for head in ("det", "P", "S") for rate in ("prec", "rec", "F1")),
    "P MAE s", "S MAE s", "false P/h", "false det/h",
)  # fmt: skip
KEPT_COLUMNS = (
    "model",
    *(f"{head} {what}" for head in ("det", "P", "S") for what in ("of", "kept", "added")),
    "P p95", "S p95",
)  # fmt: skip
NUMBERS_FROM = 3
"""Columns of text before those of numbers."""

Table = tuple[Sequence[str], list[list[str]], int]


@dataclass(frozen=True)
class Comparison:
    """Networks side by side.

    Attributes:
        pickers: The networks.
        costs: Of each.
        scored: On what, and how well each did.
        kept: Of each, what it has of the first one's picks; empty without continuous records.
    """

    pickers: Sequence[Picker]
    costs: Sequence[PickerCost]
    scored: ComparisonScores
    kept: Sequence[Agreement] = ()

    def cost_rows(self) -> list[list[str]]:
        """Cells below COST_COLUMNS."""
        return [
            [
                picker.name,
                picker.architecture,
                str(picker.card.get("precision", "-")),
                _or_dash(picker.card.get("parameters"), ",d"),
                _or_dash(_mega(picker.card.get("macs")), ".2f"),
                f"{cost.size_bytes / 1000:.0f}",
                f"{cost.latency_ms:.2f}",
                f"{cost.latency_ratio:.2f}",
                f"{cost.rss_mb:.0f}",
            ]
            for picker, cost in zip(self.pickers, self.costs, strict=True)
        ]

    def score_rows(self) -> list[list[str]]:
        """Cells below SCORE_COLUMNS."""
        return [
            [picker.name, *_score_cells(score)]
            for picker, score in zip(self.pickers, self.scored.scores, strict=True)
        ]

    def kept_rows(self) -> list[list[str]]:
        """Cells below KEPT_COLUMNS; nothing without continuous records."""
        return [
            [picker.name, *_kept_cells(agreement)]
            for picker, agreement in zip(self.pickers, self.kept, strict=bool(self.kept))
        ]

    def tables(self) -> list[Table]:
        """Header, rows and first column of numbers of each table."""
        tables: list[Table] = [
            (COST_COLUMNS, self.cost_rows(), NUMBERS_FROM),
            (SCORE_COLUMNS, self.score_rows(), 1),
        ]
        return [*tables, (KEPT_COLUMNS, self.kept_rows(), 1)] if self.kept else tables

    def caption(self) -> str:
        """Describe what the scores are of."""
        found = self.scored
        records = f" ({found.records})" if found.records else ""
        text = (
            f"{found.events} windows of events and {found.noise} of noise, {found.stations} "
            f"stations{records}; a pick is right within 0.5 s of its label and any other is false; "
            "a detection is judged by the window, noise included. Times are of one thread, those "
            "of others on a busy machine left out; latency is over the first row's."
        )
        if self.kept:
            text += (
                f" Of the first row's picks in {self.kept[0].windows} windows at random places of "
                "continuous records: kept within 0.5 s, and added; p95 is the shift of the kept, "
                "95th percentile, in samples."
            )
        return text


def as_text(comparison: Comparison) -> str:
    """Return it for a terminal."""
    tables = ["\n".join(aligned_table(*table)) for table in comparison.tables()]
    return "\n\n".join([*tables, comparison.caption()])


def as_markdown(comparison: Comparison) -> str:
    """Return the tables and what they are of."""
    tables = ["\n".join(markdown_table(*table)) for table in comparison.tables()]
    return "\n\n".join([*tables, comparison.caption() + "\n"])


def as_csv(comparison: Comparison) -> str:
    """Return one row a network, numbers without thousands' separators."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    kept = comparison.kept_rows() or [[]] * len(comparison.pickers)
    writer.writerow([*COST_COLUMNS, *SCORE_COLUMNS[1:], *(KEPT_COLUMNS[1:] if kept[0] else ())])
    rows = zip(comparison.cost_rows(), comparison.score_rows(), kept, strict=True)
    for cost, score, had in rows:
        numbers = [c.replace(",", "") for c in [*cost[NUMBERS_FROM:], *score[1:], *had[1:]]]
        writer.writerow(["" if cell == "-" else cell for cell in [*cost[:NUMBERS_FROM], *numbers]])
    return out.getvalue()


def _score_cells(score: Score) -> list[str]:
    heads: tuple[PhaseScore, ...] = (score.detection, score.P, score.S)
    rates = [f"{rate:.3f}" for h in heads for rate in (h.precision, h.recall, h.f1)]
    # as many digits as evaluate's report has: rounded twice, a figure could end otherwise
    residuals = [_or_dash(h.mean_absolute_s, ".4f") for h in heads[1:]]
    false = (score.false_p_per_hour, score.false_detections_per_hour)
    return [*rates, *residuals, *(_or_dash(rate, ".2f") for rate in false)]


def _kept_cells(agreement: Agreement) -> list[str]:
    heads = [agreement.heads[head] for head in HEADS]
    counts = [str(n) for h in heads for n in (h.kept + h.lost, h.kept, h.added)]
    return [*counts, *(_or_dash(h.shift_p95_samples, ".0f") for h in heads[1:])]


def _mega(count: int | None) -> float | None:
    return None if count is None else count / 1e6


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
