"""Choose the records that networks are scored on: those that all their trainings held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ... import EqedgeError
from ..training_cards import Trained
from .records import DataError, Index, Record, Split

SPLITS: tuple[Split, ...] = ("station", "event")


class SplitError(EqedgeError):
    """What was asked for contradicts what a network was trained on."""


@dataclass(frozen=True)
class Selection:
    """Which records of the data are scored.

    Attributes:
        splits: What every training behind the networks held out; a record is scored where each of
            them held it out.
        all_stations: Also records that a training may have seen.
        limit: Most records to score; None for all.
        seed: Of the draw of that many.
    """

    splits: tuple[Split, ...] = ("station",)
    all_stations: bool = False
    limit: int | None = None
    seed: int = 0

    @property
    def title(self) -> str:
        """Describe the records, as a report's `stations` does."""
        if self.all_stations:
            return "all"
        if len(self.splits) > 1:
            return "stations and events held out"
        return "held out" if self.splits == ("station",) else "events held out"

    def of(self, index: Index) -> tuple[Index, dict[str, Any] | None]:
        """Choose records of an index, which was made without a split.

        Returns:
            The chosen ones in their order, and what a report states of the limit: how many were
            drawn, of how many, by which seed; None without a limit.

        Raises:
            DataError: None is held out.
        """
        chosen = index if self.all_stations else unseen(index, self.splits)
        if self.limit is None:
            return chosen, None
        drawn = limited(chosen.records, self.limit, self.seed)
        found = {"records": len(drawn), "of": len(chosen.records), "seed": self.seed}
        return replace(chosen, records=drawn), found


def splits_of(
    networks: Sequence[Trained],
    asked: Split | None,
    all_stations: bool,
    report: Callable[[str], None],
) -> tuple[Split, ...]:
    """Return what has to be held out for the scores of some networks to be of unseen records.

    Args:
        networks: What is known of each.
        asked: `--split`; None takes what the cards state, or the station where none does.
        all_stations: Whether records that were trained on are wanted too.
        report: Called with a line about each network of which a training is not known.

    Raises:
        SplitError: A card contradicts what was asked.
    """
    for network in networks:
        if asked is not None and not all_stations and {asked} != {*network.splits, asked}:
            stated = " and before that with ".join(f"--split {s}" for s in network.splits)
            raise SplitError(
                f"{network.network}: {network.cards[0]} states that it was trained with {stated}, "
                f"so --split {asked} would score records that it was trained on; leave out "
                "--split, or give --all-stations to score them nevertheless"
            )
        if not network.splits:
            report(
                f"{network.network}: nothing is known of its training records (no training card), "
                "it may have been trained on some of those that are scored"
            )
        elif not network.complete:
            report(
                f"{network.network}: nothing is known of the training records of the weights that "
                f"it began from ({network.cards[-1]} names no card that is there), they may be "
                "some of those that are scored"
            )
    stated_by_any = {split for network in networks for split in network.splits}
    wanted = stated_by_any or {asked or "station"}
    if len(wanted) > 1 and not all_stations:
        report(
            "trained with --split station and with --split event: only records are scored of "
            "which both station and event are held out"
        )
    return tuple(split for split in SPLITS if split in wanted)


def unseen(index: Index, splits: Sequence[Split]) -> Index:
    """Return the records that each split holds out; by event an earthquake must name its own.

    Raises:
        DataError: There is none.
    """
    records, skipped = index.records, index.skipped
    if "event" in splits:
        known = [record for record in records if record.event or record.kind != "event"]
        if not any(record.event for record in known):
            raise DataError(
                "--split event: no earthquake of the data has a source_id; give data that have, "
                "or --all-stations to score all of them"
            )
        nameless = Counter({"earthquake without a source_id": len(records) - len(known)})
        records, skipped = known, skipped + nameless
    views = [replace(index, split=split) for split in splits]
    records = [record for record in records if all(view.keeps(record) for view in views)]
    if not records:
        raise DataError(
            f"every {' or '.join(splits)} of the data may have been trained on, none is held out; "
            "give --all-stations to score them nevertheless"
        )
    return replace(index, records=records, skipped=skipped)


def limited(records: Sequence[Record], limit: int, seed: int) -> list[Record]:
    """Draw records at random, in their order; the same for the same seed."""
    if len(records) <= limit:
        return list(records)
    drawn = np.random.default_rng(seed).choice(len(records), limit, replace=False)
    return [records[k] for k in sorted(drawn.tolist())]
