"""Write the report of a conversion, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .conversion import ConversionReport, Converted
from .proof.agreement import LOSSLESS, Agreement, disagreement
from .proof.agreement_table import agreement_table
from .tables import markdown_table


def render(report: ConversionReport, result: Converted) -> str:
    """Write the Markdown report of one model."""
    agreement = result.agreement
    loss = disagreement(agreement, LOSSLESS)
    verdict = (
        "agrees with float32 within the limit."
        if result.refusal is None
        else f"**misses the agreement limit** and was written with --force: {result.refusal}."
    )
    calibration = ", ".join(path.name for path in report.settings.calibration)
    facts = {
        "file": f"{len(result.data):,} bytes, sha256 `{result.sha256}`",
        "input and outputs": report.io_of(result),
        "float32 of the same weights": f"{report.float_contents.size_bytes:,} bytes",
        "parameters": f"{report.parameters:,}",
        "multiply-accumulates a window": f"{report.macs:,}",
        "weights": "{weights}, sha256 `{sha256}`".format_map(report.origin.summary),
        "float32 file against Keras": f"{report.graph_error:.1e} at most",
        "calibrated on": f"{report.calibration_windows} windows of {calibration}",
        "compared on": f"{agreement.windows} windows that calibration did not see "
        f"({report.verified_on}), {agreement.noise_windows} of them noise",
        "traces skipped": report.skipped_traces,
        **_times(agreement),
    }
    lines = [
        f"# {result.name}",
        "",
        f"{result.precision} of {report.architecture}: {verdict}",
        "",
        *markdown_table(("", ""), facts.items()),
        "",
        "## Agreement with float32, through the device's detector and pick finding",
        "",
        *agreement_table(agreement),
        "",
        "Shifts are in samples; a detection's is that of its start. "
        f"Newly detected windows of noise: {agreement.noise_added} of {agreement.noise_windows}.",
        "",
        "Without loss: " + (f"no; {loss}." if loss else "yes."),
        "",
        *_by_labels(agreement),
        *_by_stage(result),
        *_searched(result),
        "## What is in the file",
        "",
        _listed("Operations", result.contents.operations),
        "",
        _listed("Activations left in float32, by stage", result.contents.float_tensors),
        "",
        "Operations that are not builtin: " + (", ".join(result.contents.custom) or "none") + ".",
        "",
        _listed("Made with", report.tools),
        "",
    ]
    return "\n".join(lines)


def _times(agreement: Agreement) -> dict[str, str]:
    if agreement.latency_ratio is None:
        return {}
    return {
        "time of a window, one thread": f"{agreement.latency_ms:.2f} ms; float32 "
        f"{agreement.float_latency_ms:.2f} ms in the same run: ratio "
        f"{agreement.latency_ratio:.2f}"
    }


def _by_labels(agreement: Agreement) -> Iterator[str]:
    """What both score by the catalogue."""
    if not any(head.labels for head in agreement.heads.values()):
        return
    yield "## F1 by the labels of those windows"
    yield ""
    rows = (
        (
            name,
            head.labels,
            f"{head.float_f1:.3f}",
            f"{head.f1:.3f}",
            f"{head.f1_lost_points:.1f}",
        )
        for name, head in agreement.heads.items()
        if head.f1 is not None
    )
    yield from markdown_table(("head", "labels", "float32", "this file", "points lost"), rows)
    yield ""
    yield (
        "A pick within half a second of its label is right, any other is false; detection is "
        "scored by whole windows, of events and of noise."
    )
    yield ""


def _by_stage(result: Converted) -> Iterator[str]:
    """Where the signal is lost."""
    yield "## Error behind each stage"
    yield ""
    yield "Signal over noise in decibels against float32; errors of earlier stages are included."
    yield ""
    rows = (
        (name, "exact" if value is None else f"{value:.1f}")
        for name, value in result.stage_errors.items()
    )
    yield from markdown_table(("stage", "dB"), rows)
    yield ""


def _searched(result: Converted) -> Iterator[str]:
    """How the stages that stay in float were found."""
    if result.precision != "mixed":
        return
    yield f"Stages kept in float32: {', '.join(result.kept_float) or 'none'}."
    yield ""
    if not result.search:
        return
    rows = (
        (", ".join(step.kept) or "none", f"{step.verdict.error:.5f}", step.verdict.refusal or "-")
        for step in result.search
    )
    yield from markdown_table(("in float", "mean error, heads summed", "missed"), rows)
    yield ""


def _listed(title: str, entries: Mapping[str, object]) -> str:
    listed = ", ".join(f"{name} {value}" for name, value in entries.items())
    return f"{title}: {listed or 'none'}."
