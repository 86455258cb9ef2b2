"""Make the card that lies beside a converted model."""

from __future__ import annotations

from typing import Any

from ..models.registry import CARD_SCHEMA
from .conversion import ConversionReport, Converted
from .quantization.sensitivity import is_tuned


def card(report: ConversionReport, result: Converted) -> dict[str, Any]:
    """Return the card of one file; `models.registry` reads it."""
    return {
        "schema": CARD_SCHEMA,
        "name": result.name,
        "file": f"{result.name}.tflite",
        "sha256": result.sha256,
        "size_bytes": len(result.data),
        "precision": result.precision,
        "io": report.io_of(result),
        "architecture": report.architecture,
        "parameters": report.parameters,
        "macs": report.macs,
        "spec": report.spec.to_json(),
        "agreement": result.agreement.to_json()
        | {"refused": result.refusal, "graph_max_error": float(f"{report.graph_error:.1e}")},
        "verified_on": report.verified_on,
        "calibration": {
            "files": [path.name for path in report.settings.calibration],
            "windows": report.calibration_windows,
            "tuning_steps": _tuning_steps(report, result),
            "seed": report.settings.seed,
        },
        "operations": result.contents.operations,
        "float_stages": result.contents.float_tensors,
        "kept_float": list(result.kept_float),
        "stage_snr_db": result.stage_errors,
        "origin": report.origin.summary,
        "tools": report.tools,
        "licence": "MIT" if report.origin.summary["layout"] == "eqedge" else "that of the weights",
    }


def _tuning_steps(report: ConversionReport, result: Converted) -> int:
    """Steps that went into this file."""
    by_ranges = result.precision in ("int8", "mixed")
    return report.settings.tuning_steps if by_ranges and is_tuned(result.kept_float) else 0
