"""Write the report of a conversion, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .conversion import ConversionReport, Converted
from .proof.agreement import LOSSLESS, Agreement, disagreement


def render(report: ConversionReport, result: Converted) -> str:
    """Write the Markdown report of one model."""
    agreement = result.agreement
    loss = disagreement(agreement, LOSSLESS)
    verdict = (
        "agrees with float32 within the limit."
        if result.refusal is None
        else f"**misses the agreement limit** and was written with --force: {result.refusal}."
    )
    lines = [
        f"# {result.name}",
        "",
        f"{result.precision} of {report.architecture}: {verdict}",
        "",
        "| | |",
        "|---|---|",
        f"| file | {len(result.data):,} bytes, sha256 `{result.sha256}` |",
        f"| input and outputs | {report.io_of(result)} |",
        f"| float32 of the same weights | {report.float_contents.size_bytes:,} bytes |",
        f"| parameters | {report.parameters:,} |",
        f"| multiply-accumulates a window | {report.macs:,} |",
        "| weights | {weights}, sha256 `{sha256}` |".format_map(report.origin.summary),
        f"| float32 file against Keras | {report.graph_error:.1e} at most |",
        f"| calibrated on | {report.calibration_windows} windows of "
        f"{', '.join(path.name for path in report.settings.calibration)} |",
        f"| compared on | {agreement.windows} windows that calibration did not see "
        f"({report.verified_on}), {agreement.noise_windows} of them noise |",
        f"| traces skipped | {report.skipped_traces} |",
        f"| time of a window, one thread | {agreement.latency_ms:.2f} ms; float32 "
        f"{agreement.float_latency_ms:.2f} ms in the same run: ratio "
        f"{agreement.latency_ratio:.2f} |",
        "",
        "## Agreement with float32, through the device's detector and pick finding",
        "",
        "| head | max error | mean error | kept | lost | added | shift median | shift p95 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, head in agreement.heads.items():
        lines.append(
            f"| {name} | {head.max_error:.3f} | {head.mean_error:.5f} | {head.kept} "
            f"({head.kept_fraction:.1%}) | {head.lost} | {head.added} | "
            f"{_samples(head.shift_median_samples)} | {_samples(head.shift_p95_samples)} |"
        )
    lines += [
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


def _by_labels(agreement: Agreement) -> Iterator[str]:
    """What both score by the catalogue."""
    if not any(head.labels for head in agreement.heads.values()):
        return
    yield "## F1 by the labels of those windows"
    yield ""
    yield "| head | labels | float32 | this file | points lost |"
    yield "|---|---|---|---|---|"
    for name, head in agreement.heads.items():
        if head.f1 is not None:
            yield (
                f"| {name} | {head.labels} | {head.float_f1:.3f} | {head.f1:.3f} | "
                f"{head.f1_lost_points:.1f} |"
            )
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
    yield "Signal over noise in decibels against float32; errors of earlier stages are in."
    yield ""
    yield "| stage | dB |"
    yield "|---|---|"
    for name, value in result.stage_errors.items():
        yield f"| {name} | {'exact' if value is None else f'{value:.1f}'} |"
    yield ""


def _searched(result: Converted) -> Iterator[str]:
    """How the stages that stay in float were found."""
    if result.precision != "mixed":
        return
    yield f"Stages kept in float32: {', '.join(result.kept_float) or 'none; int8 does'}."
    yield ""
    if not result.search:
        return
    yield "| in float | mean error, heads summed | missed |"
    yield "|---|---|---|"
    for step in result.search:
        kept, verdict = ", ".join(step.kept) or "none", step.verdict
        yield f"| {kept} | {verdict.error:.5f} | {verdict.refusal or '-'} |"
    yield ""


def _samples(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _listed(title: str, entries: Mapping[str, object]) -> str:
    listed = ", ".join(f"{name} {value}" for name, value in entries.items())
    return f"{title}: {listed or 'none'}."
