"""Write a report as Markdown tables, networks and runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..data.matching import PhaseScore
from ..tables import markdown_table

NOTHING = "-"
PHASE_HEADER = ("F1", "precision / recall", "mean absolute residual, s")
FACT_TITLES = {
    "snr_db": "SNR, dB",
    "distance_km": "distance, km",
    "magnitude": "magnitude",
    "s_minus_p_s": "S minus P, s",
}
COMMON_ROWS = ("pooled", "manually_picked", "unlabelled_set_aside")

Scores = Mapping[str, Any]


def markdown(report: Mapping[str, Any]) -> str:
    """Write a report of `evaluate` out.

    Args:
        report: As `evaluate` returns it.
    """
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield "# Scores"
    yield ""
    yield (
        f"A pick within {report['tolerance_s']:g} s of its label is right, any other is false. "
        "In brackets: 95 % of bootstrap resamples of the events."
    )
    if "data" in report:
        yield ""
        yield from _data(report["data"])
    for name, run in report["runs"].items():
        yield ""
        yield from _events(name, run)
    for pair, scores in _by_pair(report).items():
        yield ""
        yield f"## {pair}"
        if any(one["events"] for one in scores.values()):
            yield ""
            yield from _phases(scores)
            yield from _detection(scores)
        yield from _noise(scores)
        yield from _onset(scores)
        yield from _stream(scores)
        yield from _facts(scores)
    yield from _chosen(report["models"])


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    count = data["number_of_stations"]
    stations = f"{count} station{'s' if count != 1 else ''} ({data['stations']})"
    limit = data["limit"]
    drawn = (
        f" {limit['records']} of {limit['of']} records, drawn by seed {limit['seed']}."
        if limit
        else ""
    )
    yield f"{', '.join(data['files'])}: {stations}.{drawn}"
    yield ""
    yield from markdown_table(
        ("data set", "events", "noise", "continuous"),
        (
            (name, *(kinds.get(kind, 0) for kind in ("event", "noise", "continuous")))
            for name, kinds in data["records"].items()
        ),
    )
    for reason, count in data["skipped"].items():
        yield ""
        yield f"{count}: {reason}."


def _events(name: str, run: Mapping[str, Any]) -> Iterator[str]:
    events = run["events"]
    yield (
        f"{name}, {', '.join(run['models']) or 'no trigger'}: {events['found']} of "
        f"{events['labelled']} events found, {events['false']} false in {events['hours']} h of "
        f"{events['traces']} traces of {run['file']} (precision {events['precision']:.3f}, recall "
        f"{events['recall']:.3f}, F1 {events['f1']:.3f})."
    )
    for reason, count in run["skipped"].items():
        yield ""
        yield f"{count}: {reason}."


def _by_pair(report: Mapping[str, Any]) -> dict[str, dict[str, Scores]]:
    """Thresholds, then who was scored at them."""
    pairs: dict[str, dict[str, Scores]] = {}
    for kind in ("models", "runs"):
        for name, one in report[kind].items():
            for pair, scores in one["scores"].items():
                pairs.setdefault(pair, {})[name] = scores
    return pairs


def _phases(scores: Mapping[str, Scores]) -> Iterator[str]:
    header = [f"{phase} {what}" for phase in "PS" for what in PHASE_HEADER]
    rows = []
    names = dict.fromkeys(row for one in scores.values() for row in one["P"])
    sets = [row for row in names if row not in COMMON_ROWS]
    for row in (*COMMON_ROWS, *(sets if len(sets) > 1 else ())):
        for name, one in scores.items():
            if row in one["P"]:
                cells = [cell for phase in "PS" for cell in _phase(one[phase][row])]
                rows.append((row.replace("_", " "), name, *cells))
    yield from markdown_table(("records", "", *header), rows)


def _detection(scores: Mapping[str, Scores]) -> Iterator[str]:
    rows = []
    for row in ("pooled", "manually_picked"):
        for name, one in scores.items():
            if "detection" in one:
                found = one["detection"][row]
                cells = _phase(found | {"mean_absolute_s": None})[:2]
                counts = (found["found"] + found["missed"], found["false"])
                rows.append((row.replace("_", " "), name, *cells, *counts))
    if rows:
        yield ""
        yield from markdown_table(
            ("detection", "", *PHASE_HEADER[:2], "windows of events", "false windows"), rows
        )


def _phase(row: Mapping[str, Any]) -> tuple[str, str, str]:
    if not row["found"] + row["missed"]:
        return NOTHING, NOTHING, NOTHING
    interval = row["interval"]
    # from the counts, since the report's rates are rounded already
    score = PhaseScore(row["found"], row["missed"], row["false"], None)
    return (
        f"{score.f1:.3f}{_bracket(interval['f1'], 3)}",
        f"{score.precision:.2f} / {score.recall:.2f}",
        NOTHING
        if row["mean_absolute_s"] is None
        else f"{row['mean_absolute_s']:.4f}{_bracket(interval['mean_absolute_s'], 4)}",
    )


def _noise(scores: Mapping[str, Scores]) -> Iterator[str]:
    rows = []
    for name, one in scores.items():
        if "noise" in one:
            noise, interval = one["noise"], one["noise"]["interval"]
            cells = (
                f"{noise[f'false_{x}_per_hour']:.2f}"
                f"{_bracket(interval[f'false_{x}_per_hour'], 2)}, "
                f"{noise[f'false_{x}_per_day']:.0f} a day"
                if f"false_{x}_per_hour" in noise
                else NOTHING
                for x in ("p", "s", "detections")
            )
            rows.append((name, f"{noise['hours']:.2f} h", *cells))
    if rows:
        yield ""
        yield from markdown_table(
            ("noise", "", "false P an hour", "false S an hour", "false detections an hour"), rows
        )


def _onset(scores: Mapping[str, Scores]) -> Iterator[str]:
    rows, ages = [], []
    for name, one in scores.items():
        if "live_onset" in one:
            onset = one["live_onset"]
            ages = list(onset["announced_by_s"])
            cells = (
                f"{share:.2f}{_bracket(onset['interval'][age], 2)}"
                for age, share in onset["announced_by_s"].items()
            )
            median = NOTHING if onset["median_s"] is None else f"{onset['median_s']:.2f} s"
            rows.append((name, onset["events"], *cells, median))
    if rows:
        yield ""
        yield from markdown_table(
            ("P announced by", "events", *(f"{age} s" for age in ages), "median"), rows
        )


def _stream(scores: Mapping[str, Scores]) -> Iterator[str]:
    keys = ("announced_p_per_hour", "unconfirmed_p_per_hour")
    rows = [
        (
            name,
            f"{one['stream']['hours']:.2f} h",
            *(
                f"{one['stream'][key]:.1f}{_bracket(one['stream']['interval'][key], 1)}"
                for key in keys
            ),
        )
        for name, one in scores.items()
        if "stream" in one
    ]
    if rows:
        yield ""
        yield from markdown_table(
            ("stream", "", "P announced an hour", "not confirmed 10 s later, an hour"), rows
        )


def _facts(scores: Mapping[str, Scores]) -> Iterator[str]:
    for fact, title in FACT_TITLES.items():
        rows = [
            (
                _bin(row),
                name,
                row["windows"],
                *(f"{cell}" for x in "PS" for cell in _phase(row[x])[:2]),
            )
            for name, one in scores.items()
            for row in one["by"].get(fact, ())
        ]
        if rows:
            header = [f"{phase} {what}" for phase in "PS" for what in PHASE_HEADER[:2]]
            yield ""
            yield from markdown_table((title, "", "windows", *header), rows)


def _chosen(models: Mapping[str, Any]) -> Iterator[str]:
    rows, by = [], set()
    for name, model in models.items():
        choice = model["chosen"]
        if choice is None:
            continue
        by.add(f"{choice['halves_by']}, {choice['rows'].replace('_', ' ')} records")
        for phase in "PS":
            for fold in choice[phase]["folds"]:
                other = fold["on_the_other"]
                rows.append((name, phase, f"{fold['threshold']:g}", *_phase(other)[:2]))
    if rows:
        yield ""
        yield "## Threshold chosen on one half, scored on the other"
        yield ""
        yield f"Halves by {'; '.join(sorted(by))}."
        yield ""
        yield from markdown_table(
            ("", "phase", "threshold", "F1 on the other", PHASE_HEADER[1]), rows
        )


def _bin(row: Mapping[str, Any]) -> str:
    if row["from"] is None:
        return f"below {row['to']:g}"
    return f"{row['from']:g} and more" if row["to"] is None else f"{row['from']:g} to {row['to']:g}"


def _bracket(interval: Sequence[float] | None, digits: int) -> str:
    return "" if interval is None else f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
