"""Write the table of `docs/metrics.md` from the fields that publish metrics.

python -m studies.metrics_table
"""

from __future__ import annotations

from pathlib import Path

from eqedge.edge.health.metrics import metrics_table

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"


def main() -> None:
    """Replace the document's only table; its text stays."""
    text = [line for line in DOCUMENT.read_text().splitlines() if not line.startswith("|")]
    DOCUMENT.write_text("\n".join(text).rstrip() + "\n\n" + metrics_table())


if __name__ == "__main__":
    main()
